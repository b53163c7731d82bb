"""A recurrence that must remember: the first symbol of a sequence is asked for at its end.

A recurrent network of 16 units reads sequences of 6 to 12 noisy numbers; only the first one matters, by its sign.
Trained with K-FAC steps (tied weights, back-propagation through time); then the same step is taken natively in
random bases, with the initial state carried along as the point that it is, and, to see what that means, left behind.
Run: python examples/05_a_recurrence.py
"""

import numpy as np

import geomkfac as gk

STEPS, COUNT = 12, 400
rng = np.random.default_rng(0)


def sequences(count):
    """Sequences of different lengths, and the sign of the first entry of each."""
    lengths = rng.integers(6, STEPS + 1, size=count)
    labels = rng.integers(0, 2, size=count)
    rows = [0.3 * rng.standard_normal((length, 1)) for length in lengths]
    for row, label in zip(rows, labels, strict=True):
        row[0] = 2.0 * label - 1.0
    return (*gk.pad_sequences(rows, STEPS), labels)


net, iota = gk.RecurrentNetwork.from_widths(1, 16, 2, STEPS, "tanh", initial="learned", at="last")
print(net)
X, lengths, y = sequences(COUNT)
data = iota.sample(X, y, lengths=lengths)
X_test, lengths_test, y_test = sequences(COUNT)
test = iota.sample(X_test, y_test, lengths=lengths_test)
loss = gk.Categorical().on(iota)

# -- training ----------------------------------------------------------------------------------------------
weights = net.random_weights(np.random.default_rng(1), iota)
chance = float(np.log(2))
for step in range(16):
    g = net.kfac_metric(weights, data, loss).damped(iota.euclidean, 3e-2, "factored")
    weights = weights - 0.2 * g.sharp(net.differential(weights, data, loss))
    if step % 4 == 3:
        now = float(net.loss(weights, test, loss))
        print(f"after {step + 1:2d} steps: loss {now:.3f} on new sequences (guessing: {chance:.3f})")
assert float(net.loss(weights, test, loss)) < 0.1 * chance

# -- the blocks --------------------------------------------------------------------------------------------
g = net.kfac_metric(weights, data, loss)
print("\nblocks of the metric, and what they are on")
names = ("recurrent weights, A -> Z", "input weights, X -> TZ", "output weights, A -> Y", "initial state, a point of A")
for name, layer, block in zip(names, net.layers, g.coordinates(iota).blocks, strict=True):
    sizes = " (x) ".join("x".join(map(str, factor.shape)) for factor in block.factors)
    print(f"  {name:28s} {layer.dim:4d} numbers, {sizes}")

# -- one step, in two sets of bases -------------------------------------------------------------------------
kappa = iota.random(np.random.default_rng(2))


def stepped(basis):
    own, sample = weights.expressed_in(basis), data.expressed_in(basis)
    metric = net.kfac_metric(own, sample, loss).damped(iota.euclidean, 3e-2, "factored")
    return own - 0.2 * metric.sharp(net.differential(own, sample, loss))


whole = net.inputs.from_coordinates(X_test, iota)
one, two = (net(stepped(basis), whole).coordinates(iota) for basis in (iota, kappa))
gap = float(np.abs(one - two).max())
print(f"\none step in iota and in random bases: logits differ by {gap:.1e} at most")
assert gap < 1e-8

# A state of zeros is a point only together with the frame in which it is zero.  Left behind, the network is another.
arrays = net.to_arrays(weights, kappa)
zeros = np.zeros_like(arrays[3][1])
left_behind = net.weights_from_arrays([W for W, _ in arrays[:3]], [b for _, b in arrays[:3]] + [zeros], kappa)
other = float(np.abs(net.predictions(left_behind, whole, loss) - net.predictions(weights, whole, loss)).max())
print(f"with zeros of the other frame for its initial state it is another network: they differ by {other:.1e}")
assert other > 1e-3
