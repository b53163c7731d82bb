"""The K-FAC metric of a digit classifier, in four bases; one step, the same in all of them.

Trains a small network on the 1,797 handwritten digits with its own natural gradient steps, takes the
K-FAC metric of the trained network as one object, reads its matrices in four bases, and takes a natural
gradient step in each.  Run: python examples/02_kfac_of_a_digit_classifier.py [--figure FILE]
"""

import argparse

import numpy as np

import geomkfac as gk
from geomkfac.interop import load_digits

parser = argparse.ArgumentParser()
parser.add_argument("--figure", help="write the factors in two bases, side by side, to this file (needs matplotlib)")
options = parser.parse_args()

# -- data and network ------------------------------------------------------------------------------------
X, y = load_digits()
rng = np.random.default_rng(0)
order = rng.permutation(len(X))
train, test = order[:1437], order[1437:]

net, iota = gk.MLP.from_widths([64, 32, 10], activation="tanh")  # spaces and activations, no weights
weights = net.random_weights(rng, iota)
data = iota.sample(X[train], y[train])
held_out = net.inputs.from_coordinates(X[test], iota)
loss = gk.Categorical().on(iota)


def accuracy(w):
    return float(np.mean(net.predictions(w, held_out, loss).argmax(axis=1) == y[test]))


# -- training with our own steps -------------------------------------------------------------------------
# The metric is degenerate (see below), so it is damped: by a metric that has a name, the Euclidean one of
# iota, carried along as a tensor.  Every step is therefore the same in every basis.
print(f"before training: loss {float(net.loss(weights, data, loss)):.4f}, test accuracy {accuracy(weights):.1%}")
for _ in range(8):
    metric = net.kfac_metric(weights, data, loss).damped(iota.euclidean, 3e-2, "factored")
    weights = weights - metric.sharp(net.differential(weights, data, loss))
print(f"after 8 steps  : loss {float(net.loss(weights, data, loss)):.4f}, test accuracy {accuracy(weights):.1%}")
assert accuracy(weights) > 0.9

# -- the metric, an object without coordinates --------------------------------------------------------------
g = net.kfac_metric(weights, data, loss)
dh = net.differential(weights, data, loss)
print("\nthe K-FAC metric:", type(g).__name__, "on", g.space.dim, "dimensions, degenerate in", g.nullity)

# It meets two degeneracies.  Three pixels are constant on all digits: three affine functions of the input
# vanish on the data.  And adding a constant to all logits changes no probability.
first, last = g.parts
assert first.domain_form.nullity == 3
assert last.codomain_form.nullity == 1
print("  affine functions that vanish on all inputs:", first.domain_form.nullity, "(the constant pixels)")
print("  directions of the logits that change no probability:", last.codomain_form.nullity, "(the constants)")

# So flat(v) = dh has many solutions.  They form a coset, which no basis enters; to pick one of them we name
# a norm: the smallest in iota's Euclidean metric.  That is our choice, and it is written in the code.
try:
    g.sharp(dh)
except gk.errors.DegenerateMetricError as refusal:
    print("\ng.sharp(dh) is refused:", str(refusal).splitlines()[0])
else:
    raise SystemExit("a degenerate metric must refuse sharp")

# -- four bases, one metric, one step --------------------------------------------------------------------------
bases = {
    "given": iota,
    "centred": iota.centered(g),
    "whitened": iota.whitened(g, norm=iota.euclidean),
    "random": iota.random(rng),
}


def spread(matrix):
    """The ratio of the largest to the smallest eigenvalue that is not zero to rounding."""
    values = np.linalg.eigvalsh(matrix)
    kept = values[values > len(values) * np.finfo(values.dtype).eps * values[-1]]
    return kept[-1] / kept[0]


print("\nspread of eigenvalues of the factors, in four bases of one metric, and the loss after one step:")
print("  basis        A0        G1        A1        G2      loss after")
after = {}
for name, basis in bases.items():
    (a0, g1), (a1, g2) = (block.factors for block in g.coordinates(basis).blocks)
    # Everything again, natively in this basis: weights and data are stored in it and the metric recomputed.
    there, data_there = weights.expressed_in(basis), data.expressed_in(basis)
    g_there, dh_there = net.kfac_metric(there, data_there, loss), net.differential(there, data_there, loss)
    step = g_there.minimal_solution(dh_there, norm=iota.euclidean)
    after[name] = there - 0.1 * step
    spreads = "  ".join(f"{spread(m):8.1e}" for m in (a0, g1, a1, g2))
    print(f"  {name:9s} {spreads}   {float(net.loss(after[name], data, loss)):.12f}")

# The whitened factors are the identity, up to the null directions, where they are zero.
(a0, g1), (a1, g2) = (block.factors for block in g.coordinates(bases["whitened"]).blocks)
for factor, nullity in ((a0, 3), (g1, 0), (a1, 0), (g2, 1)):
    eigenvalues = np.linalg.eigvalsh(factor)
    target = np.concatenate([np.zeros(nullity), np.ones(len(factor) - nullity)])
    assert np.abs(eigenvalues - target).max() < 1e-6

# The step is one vector: its coordinates in iota agree, up to rounding, whatever basis it was computed in.
# Rounding grows like epsilon times the spread of the factors that are solved with.
(a0, g1), (a1, g2) = (block.factors for block in g.coordinates(iota).blocks)
worst = max(spread(a0) * spread(g1), spread(a1) * spread(g2))
tolerance = np.finfo(np.float64).eps * worst
print(f"\ngap between the networks after the step, relative to the step (rounding allows {tolerance:.0e}):")
for name, moved in after.items():
    gap = (moved - after["given"]).coordinates(iota)
    size = (after["given"] - weights).coordinates(iota)
    relative = np.sqrt(sum((x**2).sum() for x in gap) / sum((x**2).sum() for x in size))
    print(f"  {name:9s} {relative:.1e}")
    assert relative < tolerance

# What a basis changes when it is not carried along: damping by a multiple of the identity of each basis.
outputs = {}
for name, basis in bases.items():
    damped = g.coordinates(basis).damped_by_identity(1e-2)
    step = damped.solve(dh.coordinates(basis[dh.space]))
    vector = net.weight_space.direction.from_coordinates(list(step), basis)
    outputs[name] = float(net.loss(weights - 0.1 * vector, data, loss))
print("\nloss after a step damped by the identity matrix of each basis: four different steps")
print("  " + ", ".join(f"{name} {value:.6f}" for name, value in outputs.items()))
assert len({round(value, 6) for value in outputs.values()}) == 4

if options.figure:
    from geomkfac.display import draw_factors

    draw_factors(g, {"given": iota, "whitened": bases["whitened"]}, options.figure, dpi=100)
    print("\nfigure written to", options.figure)
