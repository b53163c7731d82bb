"""Every program returns the same numbers whatever hidden frames are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from geomkfac.arrays import floating
from geomkfac.testing import check_gauge

from .programs import PROGRAMS
from .registry import FIELD, Program, tolerance


def chosen(**wanted: bool) -> list[object]:
    return [
        pytest.param(entry, id=entry.run.__name__)
        for entry in PROGRAMS
        if all(found == value for found, value in ((_claims(entry)[key], value) for key, value in wanted.items()))
    ]


def _claims(entry: Program) -> dict[str, bool]:
    return {
        "exact": FIELD in entry.kinds,
        "floats": floating in entry.kinds,
        "bitwise": floating in entry.kinds and entry.rounds_nothing,
    }


@pytest.mark.parametrize("entry", chosen(exact=True))
def test_over_a_finite_field_no_hidden_frame_shows(entry: Program) -> None:
    check_gauge(lambda: entry(FIELD), np.random.default_rng(1))


@pytest.mark.parametrize("entry", chosen(bitwise=True))
def test_sums_and_products_keep_every_bit_under_powers_of_two(entry: Program) -> None:
    check_gauge(lambda: entry(floating), np.random.default_rng(2), draws="dyadic")


@pytest.mark.parametrize("entry", chosen(floats=True))
def test_in_floating_point_hidden_frames_show_in_rounding_alone(entry: Program) -> None:
    check_gauge(lambda: entry(floating), np.random.default_rng(3), rtol=tolerance(entry))


def test_tolerances_leave_a_leak_no_room() -> None:
    """A hidden frame changes numbers by factors of its stretches, 1 to 10: by far more than this."""
    assert max(tolerance(entry) for entry in PROGRAMS if floating in entry.kinds) < 0.1
