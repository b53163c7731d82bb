"""Elements: what they refuse, and what they say; indices, batches and scalars."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from geomkfac.arrays import GF, rational
from geomkfac.errors import (
    DivisionByZeroError,
    FrameError,
    GeomkfacError,
    InexactEqualityError,
    KindError,
    ShapeError,
    SpaceMismatchError,
    ValuesError,
)
from geomkfac.spaces import AffineSpace, Point, Vector, VectorSpace
from geomkfac.testing import integer_array

FIELD = GF(2**31 - 1)


def point(*numbers: float) -> tuple[Point, Any]:
    A = AffineSpace("A1", len(numbers))
    iota = A.frame("iota")
    return A.from_coordinates(np.asarray(numbers), iota), iota


def vector(*numbers: float) -> tuple[Vector, Any]:
    V = VectorSpace("V", len(numbers))
    e = V.frame("e")
    return V.from_coordinates(np.asarray(numbers), e), e


def test_two_points_cannot_be_added_and_the_error_says_what_to_do() -> None:
    p, _ = point(1.0, 2.0, 3.0)
    with pytest.raises(SpaceMismatchError) as refused:
        p + p
    assert str(refused.value) == (
        "cannot add two points.\n"
        "  left : Point of AffineSpace('A1', dim=3) over floating\n"
        "  right: Point of AffineSpace('A1', dim=3) over floating\n"
        "An affine space has no origin: use affine_combination(points, weights) with weights that sum to 1, "
        "or of_point in the Hull."
    )
    assert isinstance(refused.value, TypeError)


def test_points_of_two_spaces_cannot_be_subtracted_and_the_error_shows_both() -> None:
    p, _ = point(1.0, 2.0, 3.0)
    A2 = AffineSpace("A2", 3)
    q = A2.from_coordinates(np.ones(3), A2.frame("iota"))
    with pytest.raises(SpaceMismatchError) as refused:
        p - q
    assert str(refused.value) == (
        "cannot subtract: the points live in different affine spaces.\n"
        "  left : Point of AffineSpace('A1', dim=3) over floating\n"
        "  right: Point of AffineSpace('A2', dim=3) over floating\n"
        "Map one into the other's space with an AffineMap first."
    )


def test_the_error_tells_spaces_of_one_name_apart() -> None:
    p, iota = point(1.0)
    q, _ = point(1.0)
    with pytest.raises(SpaceMismatchError, match="different spaces all the same"):
        p - q
    with pytest.raises(FrameError, match="different spaces all the same"):
        q.coordinates(iota)


def test_a_vector_plus_a_point_is_refused_as_the_point_comes_first() -> None:
    p, _ = point(1.0)
    v = p - p
    with pytest.raises(SpaceMismatchError, match=r"point first: p \+ v"):
        v + p
    other, _ = vector(1.0)
    with pytest.raises(SpaceMismatchError, match=r"Required: a vector of TA1 \(dim=1\)"):
        p + other


@pytest.mark.parametrize("other", [1.0, np.ones(2), "x", None])
def test_what_is_no_element_cannot_be_added(other: Any) -> None:
    v, _ = vector(1.0, 2.0)
    p, _ = point(1.0, 2.0)
    for element in (v, p):
        with pytest.raises(TypeError):
            element + other
        with pytest.raises(TypeError):
            other + element
    with pytest.raises(SpaceMismatchError, match="from_coordinates makes one"):
        v + other


def test_elements_do_not_turn_into_numpy_arrays() -> None:
    for element in (vector(1.0, 2.0)[0], point(1.0, 2.0)[0]):
        with pytest.raises(KindError, match=r"is not an array.*\n.*coordinates\(frame\)"):
            np.asarray(element)
        with pytest.raises(TypeError):
            np.add(element, 1.0)
        with pytest.raises(GeomkfacError, match="no truth value"):
            bool(element)


def test_elements_are_unhashable_frozen_and_silent_about_their_numbers() -> None:
    for element in (vector(1.25, 2.5)[0], point(1.25, 2.5)[0]):
        with pytest.raises(TypeError, match="unhashable"):
            hash(element)
        with pytest.raises(AttributeError):
            element.space = None  # type: ignore[misc, assignment]
        assert re.search(r"1\.25|2\.5", repr(element)) is None
        assert not hasattr(element, "data")


def test_equality_is_exact_over_a_field_and_refused_in_floating_point() -> None:
    v, e = vector(1.0, 2.0)
    with pytest.raises(InexactEqualityError, match="isclose"):
        v == v  # noqa: B015
    assert v.isclose(v, frame=e, rtol=0.0)
    assert not v.isclose(v * 1.5, frame=e, rtol=1e-3)
    V, ns = VectorSpace("V", 2, FIELD), FIELD.default_namespace
    f = V.frame("f")
    u, w = (V.from_coordinates(integer_array(ns, numbers), f) for numbers in ([1, 2], [1, 3]))
    assert u == u.expressed_in(f.change(integer_array(ns, [[1, 1], [0, 1]])))
    assert u != w
    assert u != u[None]
    assert (u == 3) is False
    with pytest.raises(KindError, match="isclose needs an ordered kind"):
        u.isclose(w, frame=f, rtol=0.1)


def test_isclose_depends_on_the_frame_which_must_be_named() -> None:
    v, e = vector(1.0, 0.0)
    w = v.space.from_coordinates(np.asarray([1.0, 1.0]), e)
    flat = e.change(np.asarray([[1.0, 0.0], [0.0, 1e-6]]))
    assert v.isclose(w, frame=flat, rtol=1e-5)
    assert not v.isclose(w, frame=e, rtol=1e-5)


@pytest.mark.parametrize("two", [2, 2.0, Fraction(2), np.float64(2), np.int64(2), np.asarray(2.0)])
def test_a_scalar_may_be_a_number_of_python_or_numpy_from_either_side(two: Any) -> None:
    v, e = vector(1.0, 3.0)
    assert (v * two).coordinates(e).tolist() == [2.0, 6.0]
    assert (two * v).coordinates(e).tolist() == [2.0, 6.0]
    assert (v / two).coordinates(e).tolist() == [0.5, 1.5]


@pytest.mark.parametrize("kind", [FIELD, rational], ids=["GF(p)", "Q"])
def test_exact_vectors_take_ints_and_fractions_and_refuse_floats(kind: Any) -> None:
    V, ns = VectorSpace("V", 1, kind), kind.default_namespace
    v = V.from_coordinates(integer_array(ns, [3]), V.frame("e"))
    assert v * Fraction(1, 3) * 3 == v
    assert v / 3 * np.int64(3) == v
    with pytest.raises(KindError):
        v * 0.5
    with pytest.raises(KindError):
        np.float64(0.5) * v


@pytest.mark.parametrize("scalar", [True, np.ones(2), "2", None, [1.0]])
def test_what_is_no_scalar_is_refused(scalar: Any) -> None:
    v, _ = vector(1.0, 3.0)
    with pytest.raises(KindError):
        v * scalar
    with pytest.raises(KindError):
        v / scalar


def test_a_vector_times_a_vector_or_by_nan_or_over_zero_is_refused() -> None:
    v, _ = vector(1.0, 3.0)
    with pytest.raises(KindError, match="cannot multiply"):
        v * v
    with pytest.raises(ValuesError, match="finite"):
        v * float("nan")
    for zero in (0, 0.0, Fraction(0), np.asarray(0.0)):
        with pytest.raises(DivisionByZeroError, match="by zero"):
            v / zero


def test_arrays_of_two_dtypes_do_not_mix() -> None:
    V = VectorSpace("V", 2)
    e = V.frame("e")
    double = V.from_coordinates(np.ones(2), e)
    single = V.from_coordinates(np.ones(2, dtype=np.float32), e)
    for combine in (lambda: double + single, lambda: double.isclose(single, frame=e, rtol=1.0)):
        with pytest.raises(KindError, match=r"numpy float64(.|\n)*numpy float32(.|\n)*one dtype"):
            combine()


def test_batches_are_indexed_sliced_and_extended() -> None:
    V = VectorSpace("V", 2)
    e = V.frame("e")
    x = np.arange(12.0).reshape(3, 2, 2)
    v = V.from_coordinates(x, e)
    assert v.batch_shape == (3, 2)
    for key in (0, np.int64(1), slice(1, None), (slice(None), 0), (None, 2), (..., 1), (2, 1), None):
        trimmed = key if isinstance(key, tuple) else (key,)
        expected = x[(*trimmed, *(() if ... in trimmed else (...,)), *(slice(None),) * (... in trimmed))]
        assert np.array_equal(v[key].coordinates(e), expected)
    with pytest.raises(ShapeError, match="too many indices"):
        v[0, 0, 0]
    for wrong in ([0, 1], np.asarray([0, 1]), np.asarray([True, False, True]), 1.0, True):
        with pytest.raises(KindError, match="Index the arrays"):
            v[wrong]


def test_batches_broadcast_or_say_why_not() -> None:
    V = VectorSpace("V", 2)
    e = V.frame("e")
    v, w = (V.from_coordinates(np.ones((count, 2)), e) for count in (2, 3))
    assert (v[:, None] + w).batch_shape == (2, 3)
    with pytest.raises(ShapeError, match=r"do not broadcast(.|\n)*batch=\(2,\)(.|\n)*batch=\(3,\)"):
        v + w


def test_a_batch_is_scaled_and_summed_with_one_weight_each() -> None:
    V = VectorSpace("V", 2)
    e = V.frame("e")
    x = np.arange(6.0).reshape(3, 2)
    v, weights = V.from_coordinates(x, e), np.asarray([1.0, 0.0, 2.0])
    assert np.array_equal(v.scaled(weights).coordinates(e), x * weights[:, None])
    assert np.array_equal(v.sum().coordinates(e), x.sum(axis=0))
    assert np.array_equal(v.sum(weights).coordinates(e), weights @ x)
    with pytest.raises(ShapeError, match="one weight per summand"):
        v.sum(np.ones(2))
    with pytest.raises(ShapeError, match="one scalar per vector"):
        v.scaled(np.ones(4))
    with pytest.raises(ShapeError, match="no batch axis"):
        v[0].sum()


def test_elements_do_not_share_memory_with_the_array_that_they_came_from() -> None:
    V = VectorSpace("V", 2)
    e, x = V.frame("e"), np.ones(2)
    v = V.from_coordinates(x, e)
    x[0] = 7.0
    assert v.coordinates(e).tolist() == [1.0, 1.0]


def test_coordinates_of_the_wrong_shape_kind_or_value_are_refused() -> None:
    V, e = (space := VectorSpace("V", 2)), space.frame("e")
    with pytest.raises(ShapeError, match=r"\(\*batch, 2\), not \(3,\)"):
        V.from_coordinates(np.ones(3), e)
    with pytest.raises(KindError, match="integers"):
        V.from_coordinates(np.ones(2, dtype=int), e)
    with pytest.raises(KindError, match="asarray"):
        V.from_coordinates([1.0, 2.0], e)
    with pytest.raises(ValuesError, match=r"1 of 2 entries are not finite"):
        V.from_coordinates(np.asarray([1.0, np.inf]), e)
    W = VectorSpace("W", 2, FIELD)
    with pytest.raises(KindError, match="required: what has a value in GF"):
        W.from_coordinates(np.ones(2), W.frame("f"))


@pytest.mark.parametrize(("name", "dim"), [(3, 2), ("V", -1), ("V", 2.0), ("V", True)])
def test_a_space_needs_a_name_and_a_dimension(name: Any, dim: Any) -> None:
    with pytest.raises(ValuesError):
        VectorSpace(name, dim)
    with pytest.raises(KindError):
        VectorSpace("V", 2, "floating")  # type: ignore[arg-type]
