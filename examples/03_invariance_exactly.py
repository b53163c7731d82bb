"""The K-FAC step is the same in every basis: not to twelve digits, but exactly.

Over a finite field nothing is rounded.  Activations, losses and output metrics are generic: their values
and derivatives are free variables, drawn at random once for each batch of points met.  Two steps are
taken twice, in two parameterizations, natively in each, and compared with ==; then damping by a multiple
of the identity is tried, and refused.  Run: python examples/03_invariance_exactly.py
"""

import numpy as np

import geomkfac as gk

rng = np.random.default_rng(2026)
field = gk.GF(2147483629)  # a prime below 2**31

# A 3-4-3-2 network.  Its activations are smooth maps of which nothing is known but their values.
widths = [3, 4, 3, 2]
inputs = gk.AffineSpace("A0", 3, field)
frames, activations = [inputs.frame("iota")], []
for index, width in enumerate(widths[1:-1], start=1):
    before, after = gk.AffineSpace(f"Z{index}", width, field), gk.AffineSpace(f"A{index}", width, field)
    frames += [before.frame("iota"), after.frame("iota")]
    activations.append(gk.GenericMap(frames[-2], frames[-1], rng))
outputs = gk.AffineSpace("Z3", 2, field)
frames.append(outputs.frame("iota"))

net = gk.MLP(inputs, activations, outputs)
iota = gk.Parameterization(frames, inputs=inputs, outputs=outputs, name="iota")
kappa = iota.random(rng)  # every space gets another basis and another origin
loss = gk.GenericFamily(iota[outputs], rng, covectors=2)  # any loss, any output metric

weights = net.random_weights(rng, iota)
data = iota.sample(field.default_namespace.random(rng, (12, 3)))
fresh = inputs.from_coordinates(field.default_namespace.random(rng, (5, 3)), iota)


def two_steps(basis):
    """Two K-FAC steps computed natively in `basis`, the metric re-evaluated in between."""
    w, sample = weights.expressed_in(basis), data.expressed_in(basis)
    for _ in range(2):
        g, dh = net.kfac_metric(w, sample, loss), net.differential(w, sample, loss)
        w = w - 3 * g.sharp(dh)
    return w


in_iota, in_kappa = two_steps(iota), two_steps(kappa)
print("the weights after two steps, computed in two bases, are the same point:", in_iota == in_kappa)
assert in_iota == in_kappa

# The same point, and so the same function, on inputs that the steps never saw.
assert net(in_iota, fresh) == net(in_kappa, fresh.expressed_in(kappa))

# Their coordinates differ, of course: (3.3) of Luk & Grosse relates them.
(W, b), *_ = net.to_arrays(in_iota, iota)
(W_there, b_there), *_ = net.to_arrays(in_kappa, kappa)
assert not field.default_namespace.equal(W, W_there)


def two_damped_steps(basis):
    """The same, damped by a multiple of the identity matrix of `basis`."""
    w, sample = weights.expressed_in(basis), data.expressed_in(basis)
    for _ in range(2):
        g, dh = net.kfac_metric(w, sample, loss), net.differential(w, sample, loss)
        damped = g.coordinates(basis).damped_by_identity(1)
        step = damped.solve(dh.coordinates(basis))
        w = w - 3 * net.weight_space.direction.from_coordinates(list(step), basis)
    return w


same = two_damped_steps(iota) == two_damped_steps(kappa)
print("damped by the identity of each basis, they are the same point:         ", same)
assert not same


def two_carried_steps(basis):
    """The same, damped by one metric carried along as a tensor: the Euclidean metric of iota."""
    w, sample = weights.expressed_in(basis), data.expressed_in(basis)
    for _ in range(2):
        g, dh = net.kfac_metric(w, sample, loss), net.differential(w, sample, loss)
        w = w - 3 * g.damped(iota.euclidean, 1, "exact").sharp(dh)
    return w


same = two_carried_steps(iota) == two_carried_steps(kappa)
print("damped by a metric that is carried along, they are the same point:     ", same)
assert same
