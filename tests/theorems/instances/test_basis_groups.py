"""The table of groups of changes of basis: each is a group, and the order between them is what it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geomkfac.arrays import GF, floating, generator, rational
from geomkfac.errors import UnknownNameError
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.basis_groups import GROUPS, larger_groups, random_change

EXACT = (GF(2**31 - 1), rational)
PAIRS = [(one, other) for one in GROUPS for other in GROUPS if one != other]


def world(kind, *key):
    return World(kind, generator("groups", *key), Sizes((2, 2), 2))


def is_member(ns, group, change, tolerance=0.0):
    """Whether a change fulfils the equations of a group."""
    residuals = GROUPS[group].residuals(ns, change)
    if ns.kind.is_exact:
        return all(map(ns.is_zero, residuals))
    return all(np.abs(one).max() <= tolerance for one in residuals)


@pytest.mark.parametrize("group", GROUPS)
@given(kind=st.sampled_from(EXACT), n=st.integers(1, 4), seed=st.integers(0, 99))
def test_members_lie_in_their_group_and_in_all_larger_ones(group, kind, n, seed):
    here = world(kind, group, seed)
    change = random_change(here, group, n)
    assert [tuple(part.shape) for part in change] == [(n, n), (n,)]
    assert [one for one in (group, *larger_groups(group)) if not is_member(here.ns, one, change)] == []


@pytest.mark.parametrize("group", GROUPS)
@given(kind=st.sampled_from(EXACT), n=st.integers(1, 4), seed=st.integers(0, 99))
def test_products_and_inverses_of_members_are_members(group, kind, n, seed):
    here = world(kind, group, seed)
    ns, ((B, c), (D, e)) = here.ns, [random_change(here, group, n) for _ in range(2)]
    # Few digits make a singular matrix now and then.
    assume(ns.rank(B) == n)
    assert is_member(ns, group, (D @ B, D @ c + e))
    back = ns.inverse(B)
    assert is_member(ns, group, (back, -(back @ c)))


@pytest.mark.parametrize(("one", "other"), [(one, other) for one, other in PAIRS if other not in larger_groups(one)])
def test_what_is_not_said_to_lie_within_another_does_not(one, other):
    # Half of the digits: of few products that are rounded, far less is left, and of what differs, more.
    allowed = np.finfo(float).eps ** 0.5
    here = world(floating, one, other)
    changes = [random_change(here, one, 3) for _ in range(5)]
    assert not all(is_member(here.ns, other, change, allowed) for change in changes)


def test_the_order_has_no_circle_and_one_largest_group():
    assert all(group not in larger_groups(group) for group in GROUPS)
    assert {group for group in GROUPS if not larger_groups(group)} == {"affine"}
    # Smaller groups stand before larger ones.
    names = list(GROUPS)
    assert all(names.index(above) > names.index(group) for group in GROUPS for above in larger_groups(group))


def test_a_member_in_many_dimensions_is_none_of_the_cyclic_group():
    """An update that goes round keeps cyclic permutations, and no others."""
    for seed in range(20):
        B, _ = random_change(world(rational, seed), "permutation", 4)
        order = [int(np.flatnonzero(row)[0]) for row in rational.default_namespace.to_numpy(B) != 0]
        assert order not in [[(start + i) % 4 for i in range(4)] for start in range(4)]


def test_an_unknown_group_is_refused():
    with pytest.raises(UnknownNameError, match="Did you mean 'translation'"):
        random_change(world(rational, 0), "translations", 2)
