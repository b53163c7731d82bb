"""The proven profiles of the reference rules: exactly where they are rational, and what they lose is lost."""

from __future__ import annotations

import itertools

import pytest

from geomkfac.arrays import floating, generator
from geomkfac.testing import assert_invariant
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.basis_groups import GROUPS
from geomkfac.theorems.instances.lie_algebra import symmetries
from geomkfac.updates import EigenvalueCorrectedKfac, GradientDescent, Kfac, NaturalGradient, Shampoo

from .profiles import BASIC, FLOATING, GENERATED, RATIONAL, kept

SIDES = ("activations", "preactivations")
SEVERAL = pytest.mark.parametrize(
    "several", [BASIC, pytest.param(tuple(GENERATED), marks=pytest.mark.slow)], ids=["basic", "generated"]
)


def test_every_group_of_the_table_is_in_a_profile():
    assert {*BASIC, *GENERATED} == set(GROUPS) - {"fixed"}


def found(rule, several, seed=0, **settings):
    """The grade of evidence that a rule is invariant to each group on each side; None where it is not invariant."""
    grades = {}
    for side, group in itertools.product((0, 1), several):
        groups = dict.fromkeys(SIDES, "fixed") | {SIDES[side]: group}
        try:
            evidence = assert_invariant(rule, **groups, widths=(2, 3, 2), steps=2, trials=1, seed=seed, **settings)
        except AssertionError as error:
            assert "not invariant" in str(error)
            grades[side, group] = None
        else:
            grades[side, group] = evidence.grade
    return grades


def proven(profile, several, grade):
    return {
        (side, group): grade if kept(profile, side, group) else None
        for side, group in itertools.product((0, 1), several)
    }


@SEVERAL
@pytest.mark.parametrize("rule", RATIONAL, ids=str)
@pytest.mark.parametrize("seed", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_a_rational_rule_has_its_proven_profile_exactly(rule, several, seed):
    # 17 parameters: as many products of covectors and data at least.
    enough = {"data": 12, "covectors": 2} if isinstance(rule, NaturalGradient) else {}
    assert found(rule, several, seed, **enough) == proven(RATIONAL[rule], several, "X")


@SEVERAL
@pytest.mark.parametrize("rule", FLOATING, ids=str)
def test_a_rule_with_roots_has_its_profile_in_floating_point(rule, several):
    assert found(rule, several) == proven(FLOATING[rule], several, "N")


@pytest.mark.parametrize("rule", [*RATIONAL, *FLOATING], ids=str)
def test_both_sides_of_a_profile_hold_together(rule):
    profile = (RATIONAL | FLOATING)[rule]
    largest = [next(group for group in reversed(GROUPS) if kept(profile, side, group)) for side in (0, 1)]
    enough = {"data": 12, "covectors": 2} if isinstance(rule, NaturalGradient) else {}
    evidence = assert_invariant(rule, activations=largest[0], preactivations=largest[1], trials=1, **enough)
    assert evidence.grade == ("X" if rule in RATIONAL else "N")


# -- nothing is missing from a profile ---------------------------------------------------------------------------
DIMENSIONS = {"translation": 2, "scalar": 1, "orthogonal": 1, "diagonal": 2, "linear": 4}
"""Of the groups of a plane."""


def dimension(groups):
    """Of the Lie algebra that a side of a profile generates in the plane."""
    if "linear" in groups:
        linear = DIMENSIONS["linear"]
    elif "diagonal" in groups:
        linear = DIMENSIONS["diagonal"]
    else:
        linear = sum(DIMENSIONS[g] for g in ("scalar", "orthogonal") if g in groups)
    return linear + (DIMENSIONS["translation"] if "translation" in groups else 0)


USUAL = (GradientDescent(), Kfac(), Shampoo())
"""Whose symmetries are counted every time; those of all rules in CI."""


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(rule, id=str(rule), marks=[pytest.mark.slow] * (rule not in USUAL))
        for rule in (*RATIONAL, *FLOATING)
    ],
)
def test_the_first_step_has_no_further_continuous_symmetries(rule):
    # Of data more than are needed: a metric of bad condition would drown the zeros in rounding over the step size.
    world = World(floating, generator(1, "profiles"), Sizes((2, 2, 2), 60, 2))
    found = symmetries(world, rule, (2, 2, 2), data=60, instances=3)
    activations, preactivations = (RATIONAL | FLOATING)[rule]
    expected = 2 * dimension(activations) + 2 * dimension(preactivations)
    if isinstance(rule, EigenvalueCorrectedKfac):
        # The metric of a Bernoulli family is diagonal, and so is G of the last layer: its diagonal changes are kept.
        expected += 1
    if rule == Shampoo(0.5):
        # The first step is (g g^T)^{-1} g, which keeps all linear changes of pre-activations.
        expected += 2 * (DIMENSIONS["linear"] - DIMENSIONS["scalar"] - DIMENSIONS["orthogonal"])
    assert found.dimension == expected
