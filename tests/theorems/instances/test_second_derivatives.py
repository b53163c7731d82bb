"""The Hessian that a check of invariance hands to a rule: against derivatives of a gradient written apart."""

from __future__ import annotations

import numpy as np
import pytest

from geomkfac.arrays import floating, generator
from geomkfac.errors import ValuesError
from geomkfac.testing import assert_invariant
from geomkfac.theorems.engine.world import CONDITION, Sizes, World
from geomkfac.theorems.instances.basis import random_bases, transformed
from geomkfac.theorems.instances.invariance_claim import updated
from geomkfac.theorems.instances.smooth_functions import activation, loss
from geomkfac.theorems.instances.textbook.fully_connected import MatrixNetwork
from geomkfac.updates import Newton

EPS = float(np.finfo(float).eps)


def drawn(widths, seed):
    """A network of tanh units with a Bernoulli loss, its double in other bases, and these bases."""
    world = World(floating, generator(seed, "hessian"), Sizes(widths, 7, 1))
    pairs = list(zip(widths[1:], widths[:-1], strict=True))
    network = MatrixNetwork(
        tuple(world.array(m, n + 1) for m, n in pairs),
        tuple(activation(world) for _ in pairs),
        loss(world, widths[-1]),
    )
    bases = random_bases(world, widths)
    return world, network, transformed(world, network, bases), bases, world.array(7, widths[0])


def handed(world, network, x):
    """The gradient and the Hessian that a rule is given."""
    found = []

    def rule(it):
        found.append((np.concatenate([layer.gradient.ravel() for layer in it.layers]), it.hessian()))
        return [layer.weights for layer in it.layers]

    updated(world, rule, network, x, np.asarray(1.0), 0, {})
    return found[0]


def gradient(w, shapes, bases, x, targets):
    """Of the mean loss by all weights, for complex ones too: back-propagation in NumPy."""
    weights, start = [], 0
    for m, n in shapes:
        weights.append(w[start : start + m * n].reshape(m, n))
        start += m * n
    Omega, gamma, Phi, tau = bases.Omega, bases.gamma, bases.Phi, bases.tau
    a, inputs, values = x @ Omega[0].T + gamma[0], [], []
    for i, W in enumerate(weights):
        inputs.append(np.column_stack([a, np.ones(len(a))]))
        values.append(np.tanh(inputs[-1] @ W.T @ Phi[i].T + tau[i]))
        a = values[-1] @ Omega[i + 1].T + gamma[i + 1]
    Da = (1 / (1 + np.exp(-values[-1])) - targets) / len(x)
    parts = []
    for i in reversed(range(len(weights))):
        Dz = (Da * (1 - values[i] ** 2)) @ Phi[i]
        parts.insert(0, (Dz.T @ inputs[i]).ravel())
        Da = Dz @ weights[i][:, :-1] @ Omega[i]
    return np.concatenate(parts)


@pytest.mark.parametrize("widths", [(1, 1), (2, 3, 2), (2, 2, 3, 1)], ids=str)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("double", [False, True])
def test_the_hessian_is_the_derivative_of_the_gradient(widths, seed, double):
    world, network, other, bases, x = drawn(widths, seed)
    here = other if double else network
    inputs = x @ bases.Omega[0].T + bases.gamma[0] if double else x
    if not double:
        bases = type(bases)(
            *(tuple(np.eye(len(B)) for B in part) if part[0].ndim == 2 else tuple(0 * c for c in part)
              for part in (bases.Omega, bases.gamma, bases.Phi, bases.tau))
        )  # fmt: skip
    shapes = [W.shape for W in here.weights]
    w = np.concatenate([W.ravel() for W in here.weights])
    targets = network.loss.targets
    found_gradient, found = handed(world, here, inputs)
    # A step of 1e-30 along the imaginary axis: a derivative without cancellation.
    columns = [gradient(w + 1e-30j * e, shapes, bases, x, targets).imag / 1e-30 for e in np.eye(len(w))]
    # Each of L layers multiplies by matrices of that condition, forwards and backwards; sums are over 7 data.
    tolerance = 7 * len(w) * (CONDITION ** (2 * len(shapes)) if double else 1.0) * EPS
    for one, two in ((found_gradient, gradient(w, shapes, bases, x, targets)), (found, np.stack(columns, axis=1))):
        assert np.abs(one - two).max() <= tolerance * np.abs(two).max()
    assert np.abs(found - found.T).max() <= tolerance * np.abs(found).max()


def test_the_hessian_is_drawn_only_where_it_is_asked_for():
    asked = []

    def rule(network):
        asked.append(network.hessian)
        return [layer.weights for layer in network.layers]

    without = assert_invariant(rule, trials=1, steps=1).details["drawn"]
    assert all(callable(one) for one in asked)
    assert len(assert_invariant(Newton(), trials=1, steps=1).details["drawn"]) > len(without)


def test_functions_without_second_derivatives_are_refused():
    world, network, _, _, x = drawn((2, 2), 0)

    class First:
        def __call__(self, z):
            return z

        def pullback(self, z, covectors):
            return covectors

    plain = MatrixNetwork(network.weights, (First(),), network.loss)
    with pytest.raises(ValuesError, match="second derivatives"):
        updated(world, Newton(), plain, x, np.asarray(1.0), 0, {})
