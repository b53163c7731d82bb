"""Lie algebras: derivatives that say how far they are off, singular values that nothing squares, refusals."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from geomkfac.arrays import floating, generator
from geomkfac.errors import ConditioningError
from geomkfac.theorems import Check, Sizes, World
from geomkfac.theorems.engine.numeric_evidence import numeric
from geomkfac.theorems.instances.derivatives import derivative, noise
from geomkfac.theorems.instances.lie_algebra import symmetries
from geomkfac.theorems.instances.symmetry_condition import Generator, solved
from geomkfac.theorems.ledger import gk_9
from geomkfac.updates import GradientDescent, Kfac

NS = floating.default_namespace.ordered("tests")
EPSILON = NS.epsilon
BARELY = Fraction(1, 10**9)


# -- derivatives -------------------------------------------------------------------------------------------------
FUNCTIONS = {
    "exponential": (np.exp, 1.0),
    "a pole at 0.1": (lambda x: 1 / (1 - 10 * x), 10.0),
    "poles at 0.1 i": (lambda x: (1 + x) / (1 + 100 * x**2), 1.0),
    "a small slope": (lambda x: 1 + 1e-9 * np.sin(x), 1e-9),
    "a jump at 0.01": (lambda x: np.exp(x) + (x > 0.01), 1.0),
    "none": (lambda x: 1 + x**2, 0.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_derivative_is_off_by_no_more_than_it_says(name):
    function, slope = FUNCTIONS[name]
    # Of values up to 2, from a few operations.
    found = derivative(NS, lambda x: np.array([function(x), function(x)]), 8 * EPSILON)
    assert np.linalg.norm(found.value - slope) <= found.error
    # Of steps at which rounding by 8 epsilon loses 11 digits at most, or 9 after a jump or near a pole.
    assert found.error < (1e-9 if "pole" in name or "jump" in name else 1e-12)


def test_differences_of_second_order_would_not_do():
    function, slope = FUNCTIONS["a pole at 0.1"]
    second = (function(1e-4) - function(-1e-4)) / 2e-4
    found = derivative(NS, lambda x: np.array([function(x)]), 8 * EPSILON)
    assert abs(second - slope) > 1e-6 > 1000 * found.error


@pytest.mark.parametrize("size", [1e-15, 1e-9, 1e-3])
def test_noise_is_that_which_was_planted(size):
    rng = generator(0, "planted noise")
    found = noise(NS, lambda x: np.exp(x * np.ones(100)) + size * rng.standard_normal(100))
    # Three standard deviations of 100 entries; that of the four differences is known to a tenth or so.
    assert 0.5 < found / (3 * size * math.sqrt(100)) < 2


def test_a_smooth_function_has_the_noise_of_its_rounding():
    assert 0 < noise(NS, lambda x: np.exp(x * np.linspace(0.1, 1, 50))) < 3 * math.sqrt(50) * EPSILON


# -- the condition -----------------------------------------------------------------------------------------------
GENERATORS = tuple(Generator("Z1", row, column) for row in range(2) for column in range(3))


def condition(*singular_values, rows=12):
    """A matrix of these singular values, its function with a term of higher order, and its right vectors."""
    rng, n = generator(0, "condition"), len(GENERATORS)
    left, right = (np.linalg.qr(rng.standard_normal((m, n)))[0] for m in (rows, n))
    matrix = left @ np.diag(singular_values) @ right.T
    return (lambda change: matrix @ change * (1 + change @ change)), right


def test_singular_values_far_below_the_root_of_epsilon_are_seen():
    moved, right = condition(3.0, 1.0, 0.1, 1e-6, 1e-10, 0.0)
    found = solved(NS, GENERATORS, moved)
    assert found.dimension == 1
    np.testing.assert_allclose(np.abs(found.basis @ right[:, -1]), 1.0, atol=found.error / 1e-10)
    # Squared, the smallest but one would be 1e-20, and epsilon of the largest 2e-15.
    assert abs(found.singular_values[-2] - 1e-10) <= found.error < 1e-11
    assert found.has(right[:, -1])
    assert not any(found.has(right[:, k]) for k in range(5))


@pytest.mark.parametrize("rows", [4, 12])
def test_the_basis_is_orthonormal_and_the_update_does_not_see_it(rows):
    rng = generator(rows, "short")
    matrix = rng.standard_normal((rows, 3)) @ rng.standard_normal((3, len(GENERATORS)))
    found = solved(NS, GENERATORS, lambda change: matrix @ change)
    assert found.dimension == 3
    np.testing.assert_allclose(found.basis @ found.basis.T, np.eye(3), atol=50 * EPSILON)
    assert all(found.has(row) for row in found.basis)
    # As many rows as equations, and no row for what no equation says.
    assert found.singular_values.shape == (6,)


def test_where_there_is_no_gap_a_dimension_is_refused():
    rng = generator(0, "loud")
    silent, _ = condition(3.0, 1.0, 0.1, 1e-4, 0.0, 0.0)

    def loud(change):
        return silent(change) + 1e-8 * rng.standard_normal(12)

    found = solved(NS, GENERATORS, loud)
    assert found.bounds == (2, 3)
    with pytest.raises(ConditioningError, match="dimension of the algebra of symmetries lies between 2 and 3"):
        found.basis  # noqa: B018


def test_an_update_that_rounds_to_few_digits_is_refused():
    rng = generator(0, "deafening")
    found = solved(NS, GENERATORS, lambda change: change @ np.eye(6) * 1e-3 + 1e-3 * rng.standard_normal(6))
    assert found.bounds[0] == 0
    with pytest.raises(ConditioningError, match=r"required: an error of 0\.001 at most"):
        found.has(np.eye(6)[0])


def test_an_update_that_overflows_is_refused():
    with pytest.raises(ConditioningError, match="not finite"):
        solved(NS, GENERATORS, lambda change: change + (np.inf if change[0] > 0 else 0.0))


# -- rules -------------------------------------------------------------------------------------------------------
def of_rule(rule, widths, data, seed):
    return symmetries(World(floating, generator(seed, "rules"), Sizes(widths, data, 2)), rule, widths, data=data)


@pytest.mark.parametrize("seed", range(10))
def test_a_damping_of_1e_9_breaks_what_damping_breaks(seed):
    damped = of_rule(Kfac(damping=BARELY), (2, 2), 12, seed)
    assert of_rule(Kfac(), (2, 2), 12, seed).bounds == (12, 12)
    # Turns of both spaces and shifts of pre-activations are left; rounding may hide some of the others.
    assert damped.bounds[0] >= 4
    assert damped.bounds[1] < 12
    assert not all(damped.has(row) for row in np.eye(12))
    turn = np.zeros(12)
    turn[[1, 3]] = 1.0, -1.0
    assert damped.generators[1] == Generator("A0", 0, 1)
    assert damped.generators[3] == Generator("A0", 1, 0)
    assert damped.has(turn)
    assert not damped.has(np.abs(turn))


@pytest.mark.parametrize("name", ["undamped K-FAC", "K-FAC in separate blocks", "the diagonal of the Fisher matrix"])
@pytest.mark.parametrize("share", [0.0, 1e-8])
def test_a_share_of_another_step_is_refuted(name, share, monkeypatch):
    rule, *sides = gk_9.RULES[name]

    def mixed(network):
        pairs = zip(rule(network), GradientDescent()(network), strict=True)
        return [mine + (theirs - mine) * network.ns.scalar(share) for mine, theirs in pairs]

    monkeypatch.setitem(gk_9.RULES, name, (mixed, *sides))
    check = Check("N", name, gk_9.symmetry_algebra(name), gk_9.ALGEBRA, "floating")
    assert numeric(check, (0, "GK-10", "share"), 1).holds == (share == 0)
