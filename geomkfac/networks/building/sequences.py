"""Sequences of different lengths, as one array with their lengths."""

from __future__ import annotations

from collections.abc import Sequence

from geomkfac.arrays import namespace_of
from geomkfac.arrays.array import Array
from geomkfac.counts import checked_count
from geomkfac.errors import ShapeError, ValuesError
from geomkfac.required import listed


def pad_sequences(sequences: Sequence[Array], steps: int | None = None) -> tuple[Array, tuple[int, ...]]:
    """Sequences (T_i, n) as one array (N, T, n), zeros after the end of each, and their lengths.

    What stands after the end is never read: pass the lengths on to ``iota.sample(X, y, lengths=lengths)``.

    Parameters
    ----------
    sequences : arrays (T_i, n) of one dtype
    steps : T; None for the longest of them

    Raises
    ------
    ShapeError : they are no sequences of one width, or one is longer than `steps`.
    ValuesError : one is empty, or none came.

    Examples
    --------
    >>> import numpy as np
    >>> X, lengths = pad_sequences([np.ones((2, 3)), np.ones((4, 3))])
    >>> X.shape, lengths
    ((2, 4, 3), (2, 4))
    """
    sequences = listed("sequences", sequences)
    shapes = [tuple(getattr(sequence, "shape", ())) for sequence in sequences]
    if not shapes:
        raise ValuesError("there is no sequence; pass at least one array (T, n).")
    if any(len(shape) != 2 or shape[1] != shapes[0][-1] for shape in shapes):
        raise ShapeError(f"sequences must be arrays (T, n) of one width n; their shapes are {shapes[:4]}.")
    lengths = tuple(shape[0] for shape in shapes)
    if min(lengths) == 0:
        raise ValuesError(f"sequence {lengths.index(0)} is empty; leave it out.")
    longest = max(lengths) if steps is None else checked_count("the number of steps", steps)
    if max(lengths) > longest:
        raise ShapeError(f"a sequence of length {max(lengths)} does not fit into {longest} steps.")
    ns, width = namespace_of(sequences[0]), shapes[0][1]
    rows = [
        ns.concat([ns.asarray(sequence, what="sequence"), ns.zeros((longest - length, width))], axis=0)
        for sequence, length in zip(sequences, lengths, strict=True)
    ]
    return ns.stack(rows, axis=0), lengths
