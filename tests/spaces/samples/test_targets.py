"""Targets of a sample: one array, or several in a tuple or a dict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.errors import KindError, ShapeError
from geomkfac.spaces.samples.targets import map_targets, parts_of, slice_targets

X = np.arange(10.0).reshape(5, 2)
A = gk.AffineSpace("A", 2)
IOTA = A.frame("iota")
ONE, TWO = np.arange(5), np.arange(10.0).reshape(5, 2)


@pytest.mark.parametrize("size", [1, 2, 3, 5, None])
@pytest.mark.parametrize("targets", [ONE, (ONE, TWO), {"one": ONE, "two": TWO}], ids=["array", "tuple", "dict"])
def test_chunks_put_together_are_the_targets(targets: Any, size: int | None) -> None:
    chunks = list(gk.Sample.from_coordinates(X, targets, IOTA).chunks(size))
    assert {type(chunk.targets) for chunk in chunks} == {type(targets)}
    for index, (name, whole) in enumerate(parts_of(targets)):
        found = [parts_of(chunk.targets)[index] for chunk in chunks]
        assert {label for label, _ in found} == {name}
        assert np.array_equal(np.concatenate([rows for _, rows in found]), whole)
    assert [label for label, _ in parts_of(targets)][-1] in ("targets", "targets[1]", "targets['two']")


def test_no_targets_stay_none() -> None:
    assert slice_targets(None, 0, 2) is None
    assert map_targets(len, None) is None
    assert next(gk.Sample.from_coordinates(X, None, IOTA).chunks(2)).targets is None


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        ((ONE, TWO[:4]), ShapeError, r"points : 5\n  targets\[1\]: shape \(4, 2\)"),
        ({"one": ONE[:3]}, ShapeError, r"targets\['one'\]: shape \(3,\)"),
        ((ONE, [1, 2, 3, 4, 5]), KindError, r"targets\[1\] must be an array, not list"),
        ([ONE, TWO], KindError, "targets must be an array, not list"),
        ((), ShapeError, "an empty tuple"),
        ({}, ShapeError, "an empty dict"),
        (ONE[:4], ShapeError, r"targets: shape \(4,\)"),
        (np.float64(3.0), ShapeError, r"shape \(\)"),
    ],
)
def test_targets_that_do_not_fit_the_points_are_refused(targets: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        gk.Sample.from_coordinates(X, targets, IOTA)
