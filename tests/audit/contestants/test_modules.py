"""Updates of PyTorch modules in the audit: the same twins as plain modules, and the updates of K-FAC libraries."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np
import pytest

from geomkfac.audit import UnauditableError, audit, on_module, random_problem
from geomkfac.audit.contestants.choosing import contestant_of
from geomkfac.audit.libraries import UPDATES
from geomkfac.audit.twins.groups import GROUPS, ChangeOfBasis
from geomkfac.audit.twins.twin import Twin
from geomkfac.errors import MissingExtraError
from geomkfac.metrics import Gaussian

torch = pytest.importorskip("torch")
EPSILON = float(np.finfo(float).eps)


def descent(it):
    """Gradient descent; the loss is a mean over two outputs too, where geomkfac's is half a sum of squares."""
    it.loss(it.module(it.inputs), it.targets).backward()
    for parameter in it.module.parameters():
        parameter.data -= it.rate * parameter.grad
        parameter.grad = None


@pytest.mark.parametrize("architecture", ["fully connected", "convolutional", "recurrent"])
@pytest.mark.parametrize("group", ["input affine", "activation affine", "pre-activation affine", "output affine"])
def test_a_module_twin_takes_the_steps_of_the_twin(architecture, group):
    problem = random_problem(architecture, family=Gaussian(), data=20)
    double = next(one for one in GROUPS if one.name == group).double(problem, np.random.default_rng(3))
    twin = Twin(problem, double.parameterization)
    module = on_module(descent, networks="all").run(twin, twin.start, rate=0.1, steps=3)[-1]
    arrays = contestant_of(torch.optim.SGD, 0.1).run(twin, twin.start, rate=0.1, steps=3)[-1]
    # Three steps through at most five products of at most 33 terms, between moves of the double's condition.
    allowed = 3 * 5 * 33 * double.condition**2 * EPSILON
    for pair, expected in zip(module, arrays, strict=True):
        for found, array in zip(pair, expected, strict=True):
            assert np.abs(found - array).max() <= allowed * (1 + np.abs(array).max())


def test_the_audit_of_a_module_update_is_that_of_the_rule():
    kept = {f.group for f in audit(on_module(descent), steps=3, rate=0.1).findings if f.verdict == "invariant"}
    assert kept == {
        *(f"{place} {action}" for place in ("input", "activation", "pre-activation", "output")
          for action in ("sign", "permutation", "orthogonal")),
        "pre-activation shift", "output shift", "unit permutation", "unit sign",
    }  # fmt: skip


def test_what_a_module_update_has_no_say_in_is_left_out():
    report = audit(on_module(descent), steps=2, rate=0.1)
    assert set(report.left_out) == {
        "loss scale", "order of parameters", "transposed weights", "joint bias", "one flat vector", "nonlinear",
        # A squared error's metric is the identity already.
        "output whitening",
    }  # fmt: skip
    with pytest.raises(UnauditableError, match=r"'output whitening' cannot be audited .*the identity here"):
        audit(on_module(descent), groups=["output whitening"])


def test_errors_and_chains():
    def broken(it):
        raise RuntimeError("no such hook")

    with pytest.raises(UnauditableError, match="broken cannot take a step here: no such hook"):
        audit(on_module(broken), groups=["activation sign"])
    with pytest.raises(UnauditableError, match="a recurrent one is not"):
        audit(on_module(descent, "descent"), network="recurrent")


def test_a_step_that_draws_numbers_draws_the_same_ones():
    def noisy(it):
        descent(it)
        for parameter in it.module.parameters():
            parameter.data += 1e-3 * torch.randn_like(parameter)

    # The same numbers in other coordinates are another step.
    assert audit(on_module(noisy), groups=["activation orthogonal"]).findings[0].verdict == "broken"


# -- libraries ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("library", UPDATES)
def test_a_library_that_is_missing_is_named(library):
    if find_spec(library) is not None:
        pytest.skip(f"{library} is installed")
    for make in UPDATES[library]:
        with pytest.raises(MissingExtraError, match=f"{library}.* is not installed: pip install"):
            audit(make(), groups=["activation sign"])


def profile(make):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = audit(make(), rate=0.01)
    return {finding.group for finding in report.findings if finding.verdict == "invariant"}, report


def test_curvlinops_loses_translations_by_a_default():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("curvlinops")
    apart, joint, *damped, corrected = UPDATES["curvlinops"]
    everything, report = profile(joint)
    assert everything == {finding.group for finding in report.findings}
    kept, _ = profile(apart)
    moved = {
        group.name for group in GROUPS
        if isinstance(group, ChangeOfBasis) and group.place in ("input", "activation")
        and group.action in ("translation", "unit-wise affine", "affine", "whitening")
    }  # fmt: skip
    assert everything - kept == moved | {"logistic to tanh"}
    for make in (*damped, corrected):
        kept, _ = profile(make)
        assert "activation orthogonal" in kept
        assert "activation diagonal" not in kept


@pytest.mark.parametrize("library", ["nngeometry", "singd", "backpack", "kfac_jax"])
def test_other_libraries_keep_what_is_orthogonal(library):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(library)
    for make in UPDATES[library]:
        kept, _ = profile(make)
        assert {"activation orthogonal", "pre-activation shift", "unit permutation"} <= kept
        assert "activation translation" not in kept
