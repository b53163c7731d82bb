"""Exact arrays mix with nothing and turn into nothing by accident."""

from __future__ import annotations

import operator
from fractions import Fraction

import numpy as np
import pytest

from geomkfac.arrays import GF, DegreeField, namespace_of, rational
from geomkfac.errors import DivisionByZeroError, GeomkfacError, InexactEqualityError, KindError

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.matmul]


@pytest.mark.parametrize("operation", OPERATORS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "other",
    [
        np.ones(2),
        np.ones(2, dtype=int),
        1.5,
        True,
        [1, 2],
        "1",
        GF(101).default_namespace.ones((2,)),
        DegreeField(101).default_namespace.ones((2,)),
    ],
    ids=lambda x: type(x).__name__,
)
def test_operators_refuse_everything_foreign_on_either_side(exact, operation, other):
    x = exact.ones((2,))
    for left, right in ((x, other), (other, x)):
        with pytest.raises((KindError, TypeError)):
            operation(left, right)


def test_fractions_are_weak_scalars(exact):
    x = exact.ones((2,))
    assert exact.equal(x * Fraction(1, 2) + x / 2, x)
    assert exact.equal(Fraction(1, 2) - x * Fraction(1, 2), exact.zeros((2,)))


def test_matrix_products_take_arrays_alone(exact):
    with pytest.raises(KindError):
        exact.ones((2, 2)) @ 2
    with pytest.raises(KindError):
        2 @ exact.ones((2, 2))


def test_comparison_is_refused_and_says_what_to_use(exact):
    x = exact.ones((2,))
    for compare in (operator.eq, operator.ne):
        with pytest.raises(InexactEqualityError, match="equal"):
            compare(x, x)
    for compare in (operator.lt, operator.ge):
        with pytest.raises(TypeError):
            compare(x, x)


@pytest.mark.parametrize("convert", [np.asarray, bool, list, hash, float, int], ids=lambda f: f.__name__)
def test_silent_conversions_are_refused(exact, convert):
    with pytest.raises(TypeError):
        convert(exact.ones((2,)))


@pytest.mark.parametrize("index", [[0], np.array([0]), np.array([True, False]), True, "0", 1.0], ids=repr)
def test_indexing_is_basic(exact, index):
    with pytest.raises(KindError, match=r"namespace\.take"):
        exact.ones((2,))[index]


def test_entries_are_arrays_without_axes(exact):
    entry = exact.ones((2, 2))[0, 1]
    assert namespace_of(entry) is exact
    assert entry.shape == ()


@pytest.mark.parametrize("values", [[0.5], np.ones(2), 1.5, ["1"], None, [True], np.array([True])], ids=repr)
def test_the_door_takes_integers_and_fractions_alone(exact, values):
    with pytest.raises(KindError, match=r"layer must hold (SymPy expressions, )?integers or Fractions"):
        exact.asarray(values, what="layer")


def test_the_door_takes_nested_lists_and_any_integers(exact):
    expected = exact.asarray(np.array([[1, 2], [3, 4]]))
    assert exact.equal(exact.asarray([[1, 2], [3, 4]]), expected)
    assert exact.equal(exact.asarray(np.array([[1, 2], [3, 4]], dtype=np.uint8)), expected)
    assert exact.equal(exact.asarray([[Fraction(1, 2), 1], [Fraction(3, 2), 2]]) * 2, expected)
    huge = exact.asarray([2**70, -(2**70)])
    assert exact.is_zero(exact.sum(huge))
    assert not exact.is_zero(huge)


def test_division_by_zero_is_refused(exact):
    x = exact.ones((2,))
    for divisor in (0, exact.zeros((2,)), exact.asarray([1, 0])):
        with pytest.raises(DivisionByZeroError, match="nonzero"):
            x / divisor


def test_arrays_of_another_run_are_foreign():
    first, second = (DegreeField(101).default_namespace for _ in range(2))
    for mixture in (
        lambda: first.ones((2,)) + second.ones((2,)),
        lambda: first.asarray(second.ones((2,))),
        lambda: first.kind.namespace_of(second.ones((2,))),
        lambda: namespace_of(first.ones((2,)), second.ones((2,))),
    ):
        with pytest.raises(GeomkfacError):
            mixture()


def test_arrays_show_kind_and_shape(exact):
    shown = repr(exact.ones((2, 3)))
    assert exact.name in shown
    assert "(2, 3)" in shown


def test_rational_arrays_show_their_fractions():
    assert "1/2" in repr(rational.default_namespace.asarray([Fraction(1, 2)]))
