"""The second form of `assert_invariant`: any optimizer and one group, with a counterexample in the message."""

from __future__ import annotations

import numpy as np
import pytest

from geomkfac.audit import UnauditableError, on_rule
from geomkfac.errors import KindError, UnknownNameError, ValuesError
from geomkfac.testing import assert_invariant
from geomkfac.updates import GradientDescent, Kfac, NaturalGradient


def test_what_is_invariant_passes_with_findings():
    findings = assert_invariant(GradientDescent(), "activation orthogonal", trials=3)
    assert len(findings) == 3
    assert {finding.verdict for finding in findings} == {"invariant"}
    assert len({finding.last for finding in findings}) == 3
    assert_invariant(Kfac(), "input affine", network="convolutional", steps=3, trials=1)


def test_what_is_not_fails_with_a_network_to_type_in():
    with pytest.raises(AssertionError) as failure:
        assert_invariant(Kfac(joint=False), "activation translation")
    message = str(failure.value)
    assert "is not invariant: activation translation (broken)" in message
    assert "put weight and bias in one block" not in message
    for part in ("seed 0", "learning rate 0.01", "The smallest network found:", "W1 =", "its double", "W1' ="):
        assert part in message


def test_first_order_is_said():
    def rule(network):
        steps = NaturalGradient()(network)
        return [new + network.rate**2 * layer.gradient for new, layer in zip(steps, network.layers, strict=True)]

    from geomkfac.audit import random_problem

    problem = random_problem(widths=(2, 2, 2), data=200)
    with pytest.raises(AssertionError, match="to first order it is: the discrepancy falls as the learning rate to the"):
        assert_invariant(on_rule(rule), "activation affine", network=problem, rate=1e-3)


def test_what_cannot_be_told_fails_too():
    """Gradients of 8 binary digits: what is lost is not told from what they round."""

    def rounded(g):
        mantissa, exponent = np.frexp(g)
        return np.ldexp(np.round(mantissa * 256) / 256, exponent).astype(g.dtype)

    def rule(network):
        return [layer.weights - network.rate * rounded(layer.gradient) for layer in network.layers]

    with pytest.raises(AssertionError, match=r"could not be decided: activation affine \(inconclusive\)"):
        assert_invariant(on_rule(rule), "activation affine", rate=0.1)


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (KindError, "Name a group for any other", lambda: assert_invariant(dict)),
        (KindError, "Name a group for any other", lambda: assert_invariant(on_rule(Kfac()))),
        (UnknownNameError, "Did you mean 'activation sign'", lambda: assert_invariant(Kfac(), "activation sing")),
        (UnauditableError, "one layout", lambda: assert_invariant(Kfac(), "joint bias")),
        (ValuesError, "must be a positive int, not 0", lambda: assert_invariant(Kfac(), "activation sign", trials=0)),
    ],
)
def test_what_makes_no_sense_is_refused(error, text, call):
    with pytest.raises(error, match=text):
        call()


def test_settings_of_the_other_form_are_refused():
    with pytest.raises(TypeError, match="activations"):
        assert_invariant(Kfac(), "activation sign", activations="affine")
    with pytest.raises(TypeError, match="rate"):
        assert_invariant(Kfac(), rate=0.1)
