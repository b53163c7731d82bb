"""The words between the tables of docs/benchmarks.md: what was timed, and why a number is what it is.

Numbers that a run measures stand in the tables, not here.
"""

from __future__ import annotations

__all__ = ["CHANGES", "FACTORS", "HEAD", "MEMORY", "SHARED", "SOLVES"]

HEAD = """# Benchmarks

Written by `python benchmarks/factors.py --markdown docs/benchmarks.md`; `benchmarks/README.md` says how to run it.
Everything is measured side by side in one process, contestants interleaved (A B C A B C), so that ratios are worth
more than seconds.

Networks: autoencoder 784-1000-500-250-30-250-500-1000-784 with Gaussian outputs, classifier 784-512-512-10 with
softmax outputs; tanh hidden layers, random weights and data. curvlinops runs with weight and bias in one block, so
that both libraries compute the same factors; their largest relative gap is the last column (sampled metrics draw
different targets and are compared at given ones). It is told the number of data, so that it makes no pass to count.
The floor is the matrix products and symmetric rank-k updates that the factors need, in NumPy with all memory
allocated before: no activation, no bias, no sampling.
"""

FACTORS = """Why the first target is missed where it is: the exact Fisher is where curvlinops wastes most (one backward
pass for each output, weight gradients that nobody reads, and a Python loop over the data). With one sampled target it
stands only about twice above the floor, so half of its time is the floor itself, and whatever is not a matrix product
is over it. What is left above the floor: tanh (in float64 NumPy needs about 15 ns a number on this machine, a tenth
of the autoencoder's time; in float32 3 ns), the normal numbers of the Gaussian's targets, which belong to the datum
and not to the chunk, and memory that is allocated afresh.
"""

SHARED = """Three convolutions (5x5, 5x5, 3x3; 32, 32, 64 maps; 32x32 pixels of three channels) and a softmax layer;
'pooled' takes means over 2x2 after each, 'plain' keeps all maps at 32x32. Patches are never all formed. One axis is
expanded, five copies instead of 25; and a product of two patches depends, up to borders, on the difference of two
offsets alone, so the activation factor is a sum over differences and not over pairs: about a third of the products,
nothing subtracted. PyTorch's convolutions are faster than what NumPy makes of them; what remains of the time here is
mostly theirs, once for every output covector.

The recurrence has 64 units over 100 steps, 16 inputs and 10 classes; curvlinops has no recurrences. With a loss at
every step the exact Fisher metric has 1,000 covectors a sequence; forms of 64 x 64 are pulled back instead, one for
each datum, whatever the number of steps.
"""

SOLVES = """Both damp the two factors of a layer, balanced by their traces. *First* includes damping and factorising;
*kept* is the next right-hand side. A kept solve is two triangular solves for each factor here, and a product with an
explicit inverse there: the same number of operations, the product a little faster where the right-hand side is narrow.
An inverse is three times the work of a factorisation, and that is the difference in *first*.
"""

CHANGES = """The basis is the whitened one: a full matrix for every space. The design's target, a few percent, is
**missed at these batches, and must be**: changing a factor of size n by a matrix is about 4 n^3 operations, and
computing it from N data is n^2 N for its rank-k update and about as much again, twice, for the passes, so the ratio
is of the order of n / N. A change does not depend on N: the share falls in proportion as data are added, and a few
percent are reached where N is some tens of times n. No Kronecker product is ever formed.
"""

MEMORY = """float32 where nothing else is said, chunk size left to the package; peak of what NumPy allocates
(`tracemalloc`) while the factors are computed. Beyond inputs and factors it is one chunk, whatever the number of data.
"""
