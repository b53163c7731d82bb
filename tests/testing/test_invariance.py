"""`assert_invariant` tells rules that are invariant from rules that are not."""

from __future__ import annotations

import pytest

from geomkfac.errors import KindError, ShapeError, UnknownNameError
from geomkfac.testing import assert_invariant


def gradient_descent(network):
    return [layer.weights - network.rate * layer.gradient for layer in network.layers]


def kfac(network, damping=0):
    ns, new = network.ns, []
    for layer in network.layers:
        A, G = layer.A, layer.G
        if damping:
            A, G = A + ns.eye(A.shape[0]) * damping, G + ns.eye(G.shape[0]) * damping
        new.append(layer.weights - network.rate * ns.solve(G, ns.solve(A, layer.gradient.mT).mT))
    return new


def kfac_with_running_averages(network):
    ns, new = network.ns, []
    for i, layer in enumerate(network.layers):
        A, G = network.state.get(i, (layer.A, layer.G))
        A, G = (A + layer.A) / 2, (G + layer.G) / 2
        network.state[i] = A, G
        new.append(layer.weights - network.rate * ns.solve(G, ns.solve(A, layer.gradient.mT).mT))
    return new


def averages_from_the_identity(network):
    ns = network.ns
    for i, layer in enumerate(network.layers):
        network.state.setdefault(i, (ns.eye(layer.A.shape[0]), ns.eye(layer.G.shape[0])))
    return kfac_with_running_averages(network)


def weight_and_bias_apart(network):
    ns, new = network.ns, []
    for layer in network.layers:
        grad, A = layer.gradient, layer.A
        weight = ns.solve(layer.G, ns.solve(A[:-1, :-1], grad[:, :-1].mT).mT)
        bias = ns.solve(layer.G, grad[:, -1:])
        new.append(layer.weights - network.rate * ns.concat([weight, bias], axis=1))
    return new


def inputs_alone(network):
    """FOOF: G = 1."""
    return [
        layer.weights - network.rate * network.ns.solve(layer.A, layer.gradient.mT).mT for layer in network.layers
    ]


def normalized_gradient(network):
    ns = network.ns.ordered("a norm")
    return [layer.weights - layer.gradient * (0.01 / ns.norm(layer.gradient)) for layer in network.layers]


def kfac_in_floats(network):
    return [W * 1.0 for W in kfac(network)]


INVARIANT = [
    (kfac, {}),
    (kfac_with_running_averages, {}),
    (weight_and_bias_apart, {"activations": "linear"}),
    (gradient_descent, {"activations": "orthogonal", "preactivations": "orthogonal"}),
    (gradient_descent, {"activations": "permutation", "preactivations": "translation"}),
    (inputs_alone, {"preactivations": "orthogonal"}),
    (inputs_alone, {"preactivations": "translation"}),
]
BROKEN = [
    (gradient_descent, {}),
    (gradient_descent, {"activations": "translation", "preactivations": "fixed"}),
    (gradient_descent, {"activations": "diagonal", "preactivations": "fixed"}),
    (lambda network: kfac(network, 1), {}),
    (averages_from_the_identity, {}),
    (weight_and_bias_apart, {"activations": "translation", "preactivations": "fixed"}),
    (inputs_alone, {"activations": "fixed", "preactivations": "diagonal"}),
    (inputs_alone, {"activations": "fixed", "preactivations": "scalar"}),
]


def names(cases):
    return [f"{rule.__name__}-{'-'.join(groups.values())}" for rule, groups in cases]


@pytest.mark.parametrize(("rule", "groups"), INVARIANT, ids=names(INVARIANT))
def test_invariant_rules_pass_exactly(rule, groups):
    evidence = assert_invariant(rule, **groups)
    assert evidence.grade == "X"
    assert evidence.details["probability"] < 1e-6


@pytest.mark.parametrize(("rule", "groups"), BROKEN, ids=names(BROKEN))
def test_other_rules_fail_exactly(rule, groups):
    with pytest.raises(AssertionError, match="is not invariant"):
        assert_invariant(rule, **groups)


@pytest.mark.parametrize(("rule", "groups"), INVARIANT, ids=names(INVARIANT))
def test_invariant_rules_pass_in_floating_point(rule, groups):
    evidence = assert_invariant(rule, over="floating", steps=10, **groups)
    assert evidence.grade == "N"


@pytest.mark.parametrize(("rule", "groups"), BROKEN, ids=names(BROKEN))
def test_other_rules_fail_in_floating_point(rule, groups):
    with pytest.raises(AssertionError, match="is not invariant"):
        assert_invariant(rule, over="floating", **groups)


def test_a_rule_with_floats_or_roots_is_run_in_floating_point():
    assert assert_invariant(kfac_in_floats).grade == "N"
    orthogonal = {"activations": "orthogonal", "preactivations": "orthogonal"}
    assert assert_invariant(normalized_gradient, **orthogonal).grade == "N"
    with pytest.raises(AssertionError, match="is not invariant"):
        assert_invariant(normalized_gradient)
    with pytest.raises(KindError):
        assert_invariant(normalized_gradient, over="GF(p)")


def test_the_message_says_where_at_the_smallest_sizes_and_how_to_see_it_again():
    with pytest.raises(AssertionError) as failure:
        assert_invariant(gradient_descent, seed=7)
    message = str(failure.value)
    assert "gradient_descent" in message
    assert "pre-activations of layer 1 after update 1" in message
    assert "smallest sizes: 1-1," in message
    assert "seed=7" in message


def test_a_small_damping_is_seen_exactly_and_not_by_luck():
    """1e-9 would drown in a tolerance of floating point; over GF(p) any damping is as large as any other."""
    from fractions import Fraction

    def slightly_damped(network):
        return kfac(network, network.ns.scalar(Fraction(1, 10**9)))

    with pytest.raises(AssertionError, match="is not invariant"):
        assert_invariant(slightly_damped)


def test_bad_input_is_refused():
    with pytest.raises(UnknownNameError, match="affine"):
        assert_invariant(kfac, activations="afine")
    with pytest.raises(UnknownNameError, match="floating"):
        assert_invariant(kfac, over="float")
    with pytest.raises(ShapeError, match="the bias last"):
        assert_invariant(lambda network: [layer.gradient[:, :-1] for layer in network.layers])
