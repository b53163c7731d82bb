"""What second-order updates try to do: the idealized proximal objective of NN (10), minimized on a toy problem.

A small tanh network is a curve through eleven inputs.  One new target comes; the update may keep the
weights near (weight space proximity), or the predictions (function space proximity), or both.  The
objective is minimized with damped Gauss-Newton steps, whose metric is a sum of pullbacks.
Run: python examples/06_the_proximal_objective.py [--figure proximal.png]
"""

import argparse

import numpy as np

import geomkfac as gk

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--figure", metavar="FILE", help="draw the four curves")
figure = parser.parse_args().figure

rng = np.random.default_rng(1)
net, iota = gk.MLP.from_widths((1, 12, 1), "tanh")
start = net.weight_space.from_coordinates([1.5 * rng.standard_normal(layer.slots) for layer in net.layers], iota)
loss = gk.Gaussian().on(iota)


def curve(weights, x):
    """The network's function at inputs x."""
    return net(weights, net.inputs.from_coordinates(x[:, None], iota)).coordinates(iota)[:, 0]


inputs = np.linspace(-2.0, 2.0, 11)
before = curve(start, inputs)
new_input = np.array([0.6])
new_target = curve(start, new_input) + 1.5
batch = iota.sample(new_input[:, None], new_target[:, None])
others = iota.sample(inputs[:, None], before[:, None])
direction = net.weight_space.direction
shapes = [layer.slots for layer in net.layers]


def proximal_update(function_space, weight_space, steps=200):
    """The minimizer of loss + function_space * (mean squared change)/2 + weight_space * |change of the weights|^2/2."""
    weights = start
    for _ in range(steps):
        moved = (weights - start).coordinates(iota)
        gradients = [
            one + function_space * other + weight_space * change
            for one, other, change in zip(
                net.differential(weights, batch, loss).coordinates(iota),
                net.differential(weights, others, loss).coordinates(iota),
                moved,
                strict=True,
            )
        ]
        dh = direction.dual.from_coordinates(gradients, iota)
        # The Gauss-Newton metric of both terms, and a little damping besides that of the weights themselves.
        g = net.fisher_metric(weights, batch, loss)
        if function_space:
            g = g + net.fisher_metric(weights, others, loss) * function_space
        step = g.damped(iota.euclidean, weight_space + 1e-3).sharp(dh)
        weights = weights - 0.5 * step
    return weights


updates = {
    "weights kept near": proximal_update(0.0, 0.05),
    "predictions kept near": proximal_update(10.0, 1e-4),
    "both": proximal_update(5.0, 0.01),
}
far = np.abs(inputs - new_input) > 1.0
for name, weights in updates.items():
    at_target = abs(curve(weights, new_input) - new_target)[0]
    elsewhere = np.abs(curve(weights, inputs) - before)[far].max()
    length = np.sqrt(sum(float((part**2).sum()) for part in (weights - start).coordinates(iota)))
    print(f"{name:22s} error at the new target {at_target:.3f}, change far away {elsewhere:.3f}, |dw| = {length:.2f}")


def change_far_away(name):
    return np.abs(curve(updates[name], inputs) - before)[far].max()


def length_of(name):
    return np.sqrt(sum(float((part**2).sum()) for part in (updates[name] - start).coordinates(iota)))


# Weight space proximity makes a global update; function space proximity a local one, at the price of longer ways.
assert change_far_away("predictions kept near") < 0.2 * change_far_away("weights kept near")
assert length_of("weights kept near") < length_of("predictions kept near")

if figure:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    x = np.linspace(-2.2, 2.2, 300)
    picture, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True, layout="constrained")
    for axis, (name, weights) in zip(axes, updates.items(), strict=True):
        axis.plot(x, curve(start, x), color="0.6", label="before")
        axis.plot(x, curve(weights, x), color="tab:blue", label="after")
        axis.plot(inputs, before, ".", color="0.4")
        axis.plot(new_input, new_target, "o", color="tab:red", label="new target")
        axis.set_title(name)
        axis.set_xlabel("input")
    axes[0].set_ylabel("prediction")
    axes[0].legend(frameon=False)
    picture.savefig(figure, dpi=130)
    print("figure written to", figure)
