"""What that project promises of its optimizer, as tests.  Run: pytest examples/testing_an_optimizer"""

import pytest

pytest.importorskip("torch")

from optimizer import NormalizedDescent

from geomkfac.testing import assert_invariant


@pytest.mark.parametrize("group", ["unit permutation", "activation orthogonal", "pre-activation shift", "loss scale"])
def test_steps_do_not_depend_on(group):
    assert_invariant(NormalizedDescent, group)


@pytest.mark.parametrize("network", ["convolutional", "recurrent"])
def test_units_of_every_architecture_may_be_permuted(network):
    assert_invariant(NormalizedDescent, "unit permutation", network=network)


@pytest.mark.xfail(reason="centred activations are another basis, and the bias is scaled apart", strict=True)
def test_steps_do_not_depend_on_whether_activations_are_centred():
    assert_invariant(NormalizedDescent, "activation translation")
