"""Train the small network that ships as geomkfac/data/digits-network.npz, with K-FAC steps of this package.

Run from the repository's root: python benchmarks/train_digits_network.py [OUTPUT]
"""

import sys

import numpy as np

import geomkfac as gk
from geomkfac.interop import load_digits, write_network

TRAINED = 1437
"""The first 1,437 digits; the other 360 come from other writers and are held out."""

STEPS, DAMPING = 12, 3e-2


def main(path: str) -> None:
    """Train, print the accuracy on held-out digits, and write the network."""
    X, y = load_digits()
    net, iota = gk.MLP.from_widths([64, 32, 16, 10], activation="tanh")
    weights = net.random_weights(np.random.default_rng(0), iota)
    data, loss = iota.sample(X[:TRAINED], y[:TRAINED]), gk.Categorical().on(iota)
    for _ in range(STEPS):
        g = net.kfac_metric(weights, data, loss).damped(iota.euclidean, DAMPING, "factored")
        weights = weights - g.sharp(net.differential(weights, data, loss))
    held_out = net.inputs.from_coordinates(X[TRAINED:], iota)
    accuracy = np.mean(net.predictions(weights, held_out, loss).argmax(axis=1) == y[TRAINED:])
    print(f"loss {float(net.loss(weights, data, loss)):.4f}, accuracy on held-out digits {accuracy:.1%}")
    arrays = net.to_arrays(weights, iota)
    write_network(path, [W for W, _ in arrays], [b for _, b in arrays])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "geomkfac/data/digits-network.npz")
