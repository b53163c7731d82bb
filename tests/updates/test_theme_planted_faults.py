"""A profile can fail: rules with a fault, each of which loses what the rule without it keeps."""

from __future__ import annotations

from fractions import Fraction

import pytest

from geomkfac.operators import KroneckerProduct
from geomkfac.testing import assert_invariant
from geomkfac.updates import DampedKfac, Kfac, Newton, PolarStep, QuasiDiagonalNaturalGradient, Shampoo
from geomkfac.updates.all_weights import moved_against
from geomkfac.updates.exact_fisher import weight_covectors, weighted_products
from geomkfac.updates.roots import polar_factor


def stepping(direction):
    """The rule that moves every layer against a direction of its own."""

    def rule(network):
        return [
            layer.weights - network.rate * direction(network, index, layer)
            for index, layer in enumerate(network.layers)
        ]

    return rule


def quasi_diagonal(sign=1, correct_weight=True):
    """Ollivier's step with the bias corrected by the wrong sign, or not for the weights."""

    def direction(network, index, layer):
        (c, D), grad = weight_covectors(layer), layer.gradient
        diagonal, with_bias = weighted_products(layer, c, D, D), weighted_products(layer, c, D, D[..., -1:])
        bias, centre = with_bias[:, -1:], with_bias[:, :-1] / with_bias[:, -1:]
        corrected = grad[:, :-1] - centre * grad[:, -1:] if correct_weight else grad[:, :-1]
        weight = corrected / (diagonal[:, :-1] - centre * with_bias[:, :-1])
        moved = grad[:, -1:] / bias - sign * layer.ns.sum(centre * weight, axis=1)[:, None]
        return layer.ns.concat([weight, moved], axis=1)

    return stepping(direction)


def damped_by_a_metric_and_an_identity(network, index, layer):
    A0, _ = network.state.setdefault(index, (layer.A, layer.G))
    damped = KroneckerProduct(layer.A, layer.G).damped_by(KroneckerProduct(A0, network.ns.eye(layer.G.shape[0])), 2)
    return damped.solve(layer.gradient)


def damped_by_sizes_in_coordinates(network, index, layer):
    """The metric is carried along, and its strength is not: a trace of A, where tr(A0^{-1} A) belongs."""
    ns = network.ns
    A0, G0 = network.state.setdefault(index, (layer.A, layer.G))
    A, G = layer.A + A0 * ns.trace(layer.A), layer.G + G0 * ns.trace(layer.G)
    return ns.solve(G, ns.solve(A, layer.gradient.mT).mT)


def newton(change):
    return lambda network: moved_against(network, change(network.ns, network.hessian()), None)


def from_the_last_weight_on(ns, H):
    """The Hessian in another order of the weights than the gradient."""
    order = list(range(H.shape[0]))[::-1]
    return ns.take(ns.take(H, order, 0), order, 1)


def polar_of_the_product(network, index, layer):
    """The bias with the sign of a polar factor, the weight without."""
    ns = network.ns.ordered("a polar factor")
    return ns.concat([layer.gradient[:, :-1], polar_factor(ns, layer.gradient + 1.0)[:, -1:]], axis=1)


FAULTS = {
    "weight and bias apart": (Kfac(joint=False), "translation", "fixed", Kfac()),
    "averages from the identity": (Kfac(keep=2, start="identity"), "fixed", "scalar", Kfac(keep=2)),
    "bias corrected with the wrong sign": (
        quasi_diagonal(-1), "translation", "fixed", QuasiDiagonalNaturalGradient(),
    ),
    "bias not corrected": (quasi_diagonal(0), "translation", "fixed", QuasiDiagonalNaturalGradient()),
    "weights not corrected": (
        quasi_diagonal(correct_weight=False), "translation", "fixed", QuasiDiagonalNaturalGradient(),
    ),
    "an identity for G0": (
        stepping(damped_by_a_metric_and_an_identity), "fixed", "scalar", DampedKfac(2, by="first"),
    ),
    "sizes not relative to A0": (
        stepping(damped_by_sizes_in_coordinates), "scalar", "fixed", DampedKfac(1, "relative", "first"),
    ),
    "exact where relative damping belongs": (DampedKfac(2), "fixed", "scalar", DampedKfac(2, "relative")),
    "the Hessian's diagonal": (newton(lambda ns, H: H * ns.eye(H.shape[0])), "translation", "fixed", Newton()),
    "weights in another order": (newton(from_the_last_weight_on), "linear", "fixed", Newton()),
    "a damped Hessian": (Newton(damping=Fraction(1, 10**6)), "scalar", "fixed", Newton()),
    "the exponent 1/4 for 1/2": (Shampoo(), "fixed", "scalar", Shampoo(0.5)),
    "a multiple of the identity": (Shampoo(0.5, identity=1e-2), "fixed", "scalar", Shampoo(0.5)),
    "a polar factor in coordinates": (stepping(polar_of_the_product), "orthogonal", "fixed", PolarStep()),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_refuted(name):
    faulty, activations, preactivations, sound = FAULTS[name]
    assert_invariant(sound, activations=activations, preactivations=preactivations)
    with pytest.raises(AssertionError, match="not invariant"):
        assert_invariant(faulty, activations=activations, preactivations=preactivations)


@pytest.mark.parametrize("left_out", ["Phi", "Omega"])
def test_a_curvature_that_is_not_carried_along_is_refuted(monkeypatch, left_out):
    """Second derivatives of an activation in other bases need both of its changes."""
    from geomkfac.theorems.instances import second_derivatives
    from geomkfac.theorems.instances.smooth_functions import Transformed

    def faulty(ns, phi, z, covectors):
        if isinstance(phi, Transformed):
            u = covectors if left_out == "Omega" else covectors @ phi.Omega
            inner = faulty(ns, phi.phi, z @ phi.Phi.mT + phi.tau, u)
            return inner if left_out == "Phi" else phi.Phi.mT @ inner @ phi.Phi
        return sound(ns, phi, z, covectors)

    sound = second_derivatives._curvature
    monkeypatch.setattr(second_derivatives, "_curvature", faulty)
    with pytest.raises(AssertionError, match="not invariant"):
        assert_invariant(Newton())
