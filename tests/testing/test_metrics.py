"""The shipped check of metric tensors refuses what breaks a law."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.arrays import GF
from geomkfac.errors import SpaceMismatchError
from geomkfac.metrics import DenseTensor
from geomkfac.testing import LawViolatedError
from geomkfac.testing.metrics import check_metric_tensor

FIELD = GF(1_073_741_827)


def form(kind: Any, values: Any, **kwargs: Any) -> DenseTensor:
    """A form that was not checked at the door."""
    ns: Any = kind.default_namespace
    V = gk.VectorSpace("V", len(values), kind)
    matrix = ns.asarray(np.asarray(values)) if kind.is_exact else np.asarray(values, dtype=float)
    return DenseTensor(V, V.frame("e"), matrix, ns, "unchecked", **kwargs)


@pytest.mark.parametrize("kind", [gk.floating, FIELD], ids=repr)
def test_a_form_keeps_every_law(kind: Any) -> None:
    check_metric_tensor(form(kind, [[2, 1], [1, 3]]), np.random.default_rng(0))
    check_metric_tensor(form(kind, [[2, 2], [2, 2]]), np.random.default_rng(0))


@pytest.mark.parametrize("kind", [gk.floating, FIELD], ids=repr)
def test_an_unsymmetric_form_is_caught(kind: Any) -> None:
    with pytest.raises(LawViolatedError, match="g\\(u, v\\) = g\\(v, u\\)"):
        check_metric_tensor(form(kind, [[2, 1], [0, 3]]), np.random.default_rng(0))


def test_an_indefinite_form_is_caught() -> None:
    with pytest.raises(LawViolatedError, match="g\\(u, u\\) >= 0"):
        check_metric_tensor(form(gk.floating, [[1, 0], [0, -3]]), np.random.default_rng(0))


def test_a_false_radical_is_caught() -> None:
    honest = form(gk.floating, [[2, 1], [1, 3]])
    known = gk.spaces.Span(honest.space.from_coordinates(np.array([[1.0, 1.0]]), honest.storage_frame))
    lying = DenseTensor(honest.space, honest.storage_frame, honest._matrix, honest.namespace, "lying", known)
    with pytest.raises(LawViolatedError, match="flat is zero on the radical"):
        check_metric_tensor(lying, np.random.default_rng(0))


def test_only_metric_tensors_are_taken() -> None:
    with pytest.raises(SpaceMismatchError, match="required: a MetricTensor"):
        check_metric_tensor(np.eye(2), np.random.default_rng(0))  # type: ignore[arg-type]
