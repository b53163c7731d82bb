"""Sums that grow: as accurate after many additions as after one, with and without numbers of twice the precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from geomkfac.arrays import floating, floating_namespace, namespace_of
from geomkfac.networks.moments.totals import Total

from ...places import namespace

ADDITIONS = 20_000


def of_few_digits() -> list[Any]:
    """float32 of a library that has double, and on a device that has none."""
    return [namespace("numpy-float32"), floating_namespace("array_api_strict", "float32", "no_float64")]


@pytest.mark.parametrize("which", [0, 1], ids=["with double", "without"])
def test_many_additions_round_no_more_than_one(which: int) -> None:
    ns = of_few_digits()[which]
    total, plain = Total(), 0.0
    part = ns.cast_numpy(np.array([0.1, -0.3]))
    each = ns.to_numpy(part).astype(float)
    for _ in range(ADDITIONS):
        total.add(part + 0.0, terms=3)
    for _ in range(ADDITIONS):
        plain = np.float32(plain + np.float32(0.1))
    found = ns.to_numpy(total.value).astype(float)
    # The sum, and what it rounds: one rounding of their sum.
    assert np.abs(found - ADDITIONS * each).max() <= ns.epsilon * ADDITIONS * 0.3
    assert total.terms == 3 * ADDITIONS
    # Without that it would show.
    assert abs(plain - ADDITIONS * each[0]) > 100 * ns.epsilon * ADDITIONS * 0.3


def test_sums_over_other_data_are_added_with_their_counts() -> None:
    ns = floating.default_namespace
    one, other = Total(), Total()
    one.absorb(other)
    assert one.value is None
    other.add(ns.ones((2,)), terms=5)
    one.absorb(other)
    one.add(ns.ones((2,)), terms=2)
    assert (one.value.tolist(), one.terms) == ([2.0, 2.0], 7)
    assert namespace_of(one.value) is ns.wide
    things = Total()
    things.add([1])
    things.add([2])
    assert things.value == [1, 2]
