"""A small convolutional network on the handwritten digits: trained, seen in two bases, and its assumptions measured.

Trains with K-FAC steps of this package to more than 95 % on held-out digits; reads the factors in the given and in
whitened bases; takes one step natively in each, and gets the same network; and measures how far the assumptions of
KFC (GM 3) hold.  Run: python examples/04_convolution_on_digits.py [--figure FILE]
"""

import argparse

import numpy as np

import geomkfac as gk
from geomkfac.display import draw_correlations
from geomkfac.interop import load_digits

parser = argparse.ArgumentParser()
parser.add_argument("--figure", help="write the correlations of derivatives and activations to this file")
parser.add_argument("--pooling", choices=("max", "average"), default="max", help="how the first maps are pooled")
options = parser.parse_args()

# -- data and network ------------------------------------------------------------------------------------
X, y = load_digits()
images = X.reshape(-1, 8, 8, 1)  # places first, channels last: a point of A at every place of a grid
order = np.random.default_rng(0).permutation(len(X))
train, test = order[:1437], order[1437:]

net, iota = gk.ConvolutionalNetwork.from_shape(
    (8, 8),
    1,
    [
        gk.Convolution(8, kernel=3, padding=1),
        "tanh",
        gk.MaxPooling(2) if options.pooling == "max" else gk.AveragePooling(2),
        gk.Convolution(16, kernel=3, padding=1),
        "tanh",
        gk.Dense(10),
    ],
)
weights = net.random_weights(np.random.default_rng(1), iota)
data = iota.sample(images[train], y[train])
held_out = net.inputs.from_coordinates(images[test], iota)
loss = gk.Categorical().on(iota)
print(net)


def accuracy(w):
    return float(np.mean(net.predictions(w, held_out, loss).argmax(axis=1) == y[test]))


# -- training ----------------------------------------------------------------------------------------------
for step in range(12):
    g = net.kfac_metric(weights, data, loss).damped(iota.euclidean, 3e-2, "factored")
    weights = weights - 0.3 * g.sharp(net.differential(weights, data, loss))
    if step % 4 == 3:
        now = float(net.loss(weights, data, loss))
        print(f"after {step + 1:2d} steps: loss {now:.3f}, test accuracy {accuracy(weights):.1%}")
assert accuracy(weights) > (0.95 if options.pooling == "max" else 0.94)

# -- one metric, two bases ---------------------------------------------------------------------------------
# Whitened: at single places every activation has mean 0 and covariance 1, and every G is 1.
g = net.kfac_metric(weights, data, loss)
kappa = iota.whitened(g, norm=iota.euclidean)


def spread(factor):
    """The largest over the smallest eigenvalue that is not zero."""
    values = np.linalg.eigvalsh(np.asarray(factor))
    values = values[values > 1e-10 * values[-1]]
    return values[-1] / values[0]


print("\nlargest over smallest eigenvalue of the factors, in the given and in whitened bases")
for index, (given, white) in enumerate(zip(g.coordinates(iota).blocks, g.coordinates(kappa).blocks, strict=True), 1):
    spreads = [
        f"{name}: {spread(a):9.1f} -> {spread(b):7.1f}"
        for name, a, b in zip("AG", given.factors, white.factors, strict=True)
    ]
    print(f"  layer {index}   {'   '.join(spreads)}")
    assert spread(white.factors[1]) < 1 + 1e-6

# -- one step, taken natively in each ---------------------------------------------------------------------------
# Zeros outside the picture are zeros in iota alone: the border is a point, and goes along to kappa.
norm = iota.euclidean


def stepped(basis):
    own, sample = weights.expressed_in(basis), data.expressed_in(basis)
    metric = net.kfac_metric(own, sample, loss).damped(norm, 3e-2, "factored")
    return own - 0.3 * metric.sharp(net.differential(own, sample, loss))


one, two = (net.predictions(stepped(basis), held_out, loss) for basis in (iota, kappa))
gap = float(np.abs(one - two).max())
print(f"\none step in the given and in the whitened bases: probabilities differ by {gap:.1e} at most")
assert gap < 1e-8

# -- KFC's assumptions, measured --------------------------------------------------------------------------------
few = iota.sample(images[train[:400]], y[train[:400]])
layers = net.assumptions(weights, few, loss, iota)
print("\nhow far KFC's assumptions are from holding, in iota (0: exactly)")
print("         IAD (chance)    SH a    SH Ds     SUD     SUA   K-FAC block")
for layer in layers:
    print(
        f"  layer {layer.layer}  {layer.iad:.2f}  ({layer.iad_noise:.2f})   {layer.sh_activations:.2f}    "
        f"{layer.sh_derivatives:.2f}    {layer.sud:5.2f}   {layer.sua:5.2f}   {layer.kfac:.2f}"
    )

# As GM found, derivatives hardly vary together in space before max pooling; before a mean they do.
assert layers[0].sud < 0.1 or options.pooling == "average"

if options.figure:
    draw_correlations(layers, options.figure)
    print(f"\nwrote {options.figure}")
