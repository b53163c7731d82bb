"""The reference rules: against formulas by hand, and their profiles of invariance, exactly where they are rational."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from geomkfac.arrays import floating
from geomkfac.testing import assert_invariant
from geomkfac.updates import (
    DiagonalFisher,
    EigenvalueCorrectedKfac,
    Foof,
    GradientDescent,
    Kfac,
    LayerToUpdate,
    NaturalGradient,
    NetworkToUpdate,
    UnitwiseNaturalGradient,
)

GROUPS = ("translation", "diagonal", "permutation", "orthogonal", "linear")
ALL = set(GROUPS)
# What each rule keeps, of activations and of pre-activations.
PROFILES = {
    GradientDescent(): ({"permutation", "orthogonal"}, {"translation", "permutation", "orthogonal"}),
    GradientDescent(momentum=2): ({"permutation", "orthogonal"}, {"translation", "permutation", "orthogonal"}),
    NaturalGradient(): (ALL, ALL),
    NaturalGradient(damping=1): ({"permutation", "orthogonal"}, {"translation", "permutation", "orthogonal"}),
    Kfac(): (ALL, ALL),
    Kfac(keep=2): (ALL, ALL),
    Kfac(joint=False): (ALL - {"translation"}, ALL),
    Kfac(damping=1): ({"permutation", "orthogonal"}, {"translation", "permutation", "orthogonal"}),
    Foof(): (ALL, {"translation", "permutation", "orthogonal"}),
    DiagonalFisher(): ({"diagonal", "permutation"}, {"translation", "diagonal", "permutation"}),
    UnitwiseNaturalGradient(): (ALL, {"translation", "diagonal", "permutation"}),
}
SIZES = {"widths": (2, 3, 2), "steps": 2, "trials": 1}


@pytest.mark.parametrize("rule", PROFILES, ids=str)
@pytest.mark.parametrize(("side", "group"), list(itertools.product((0, 1), GROUPS)))
@pytest.mark.parametrize("seed", [0, 3])
def test_a_rule_has_its_proven_profile(rule, side, group, seed):
    groups = {"activations": "fixed", "preactivations": "fixed", ("activations", "preactivations")[side]: group}
    sizes = dict(SIZES)
    if isinstance(rule, NaturalGradient):
        # 17 parameters: as many products of covectors and data at least.
        sizes |= {"data": 12, "covectors": 2}
    if group in PROFILES[rule][side]:
        assert assert_invariant(rule, **groups, **sizes, seed=seed).grade == "X"
    else:
        with pytest.raises(AssertionError, match="not invariant"):
            assert_invariant(rule, **groups, **sizes, seed=seed)


@pytest.mark.parametrize(("group", "keeps"), [("orthogonal", True), ("linear", False), ("translation", False)])
def test_ekfac_runs_in_floating_point_alone(group, keeps):
    if keeps:
        assert assert_invariant(EigenvalueCorrectedKfac(), activations=group, preactivations="similarity").grade == "N"
    else:
        with pytest.raises(AssertionError, match="not invariant"):
            assert_invariant(EigenvalueCorrectedKfac(), activations=group, preactivations="fixed")


def layer(seed=0):
    rng = np.random.default_rng(seed)
    inputs = np.column_stack([rng.standard_normal((20, 2)), np.ones(20)])
    return LayerToUpdate(
        rng.standard_normal((3, 3)), inputs, rng.standard_normal((20, 3)), 1 + rng.random((4, 20)),
        rng.standard_normal((4, 20, 3)), floating.default_namespace,
    )  # fmt: skip


def stepped(rule, one, state=None, step=0):
    """The step that a rule takes at rate 1."""
    network = NetworkToUpdate((one,), np.asarray(1.0), step, {} if state is None else state, one.ns)
    (new,) = rule(network)
    return one.weights - new


def fisher(one):
    """The exact Fisher matrix of a layer, rows of W after one another."""
    rows = (one.covectors[..., :, None] * one.inputs[:, None, :]).reshape(-1, 9)
    return (rows * one.coefficients.reshape(-1, 1)).T @ rows / 20


@pytest.mark.parametrize("seed", [0, 1])
def test_steps_are_their_formulas(seed):
    one = layer(seed)
    A, G, F = one.A, one.G, fisher(one)
    grad = one.derivatives.T @ one.inputs / 20
    units = [np.linalg.solve(F[3 * i : 3 * i + 3, 3 * i : 3 * i + 3], grad[i]) for i in range(3)]
    inverse = np.linalg.inv
    expected = {
        GradientDescent(): grad,
        NaturalGradient(): np.linalg.solve(F, grad.ravel()).reshape(3, 3),
        NaturalGradient(damping=2): np.linalg.solve(F + 2 * np.eye(9), grad.ravel()).reshape(3, 3),
        Kfac(): inverse(G) @ grad @ inverse(A),
        Kfac(damping=2): inverse(G + 2 * np.eye(3)) @ grad @ inverse(A + 2 * np.eye(3)),
        Kfac(joint=False): np.column_stack(
            [inverse(G) @ grad[:, :2] @ inverse(A[:2, :2]), inverse(G) @ grad[:, 2]]
        ),
        Foof(): grad @ inverse(A),
        DiagonalFisher(): grad / np.diag(F).reshape(3, 3),
        UnitwiseNaturalGradient(): np.stack(units),
    }
    for rule, formula in expected.items():
        # Solves with matrices of condition at most 1e3, of size 9.
        gap = np.abs(stepped(rule, one) - formula).max()
        assert gap <= 9 * 1e3 * np.finfo(float).eps * np.abs(formula).max(), rule


def test_ekfac_divides_by_the_diagonal_in_the_eigenbasis():
    one = layer()
    U, V = (np.linalg.eigh(matrix)[1] for matrix in (one.A, one.G))
    rotated = np.kron(V, U).T @ fisher(one) @ np.kron(V, U)
    grad = one.derivatives.T @ one.inputs / 20
    formula = V @ ((V.T @ grad @ U) / np.diag(rotated).reshape(3, 3)) @ U.T
    assert np.allclose(stepped(EigenvalueCorrectedKfac(), one), formula, rtol=0, atol=1e-12)


def test_momentum_and_averages_remember():
    first, second, state = layer(0), layer(1), {}
    stepped(GradientDescent(momentum=2), first, state)
    found = stepped(GradientDescent(momentum=2), second, state, 1)
    assert np.allclose(found, second.gradient + 2 * first.gradient, rtol=0, atol=1e-14)
    state = {}
    stepped(Kfac(keep=3), first, state)
    found = stepped(Kfac(keep=3), second, state, 1)
    A, G = (3 * x - 2 * y for x, y in ((first.A, second.A), (first.G, second.G)))
    formula = np.linalg.solve(G, second.gradient) @ np.linalg.inv(A)
    assert np.allclose(found, formula, rtol=1e-10)
