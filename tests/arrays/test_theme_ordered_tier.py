"""The ordered tier, over every floating namespace.

Elementary functions are compared with Python's, in double, to 4 units in the last place: what
NumPy's vector loops promise.  Orthogonal factorisations are compared by residual, relative to the
matrix: 2n reflections of vectors of length n, each off by 6n units of epsilon / 2, are off by
6n² epsilon (Higham, *Accuracy and Stability of Numerical Algorithms*, lemma 19.3).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import namespace_of
from geomkfac.errors import NotPositiveError, SingularMatrixError

LOWER = [[2, 0, 0], [1, 3, 0], [-2, 1, 1]]
"""Integers, so that its Cholesky product is exact and is factored without rounding."""


def largest(ns, x) -> float:
    return float(np.abs(ns.to_numpy(x).astype(float)).max(initial=0.0))


@pytest.mark.parametrize("name", ["sqrt", "exp", "expm1", "log", "log1p", "tanh"])
@given(numerators=st.lists(st.integers(1, 512), min_size=1, max_size=8))
def test_elementary_functions_are_accurate(ordered, make, name, numerators):
    x = make(ordered, numerators) / 64
    result = getattr(ordered, name)(x)
    assert namespace_of(result) is ordered
    for value, numerator in zip(ordered.to_numpy(result), numerators, strict=True):
        exact = getattr(math, name)(numerator / 64)
        assert abs(float(value) - exact) <= 4 * ordered.epsilon * abs(exact)


@pytest.mark.parametrize("name", ["expm1", "log1p", "tanh"])
def test_functions_near_zero_lose_no_digits(ordered, make, name):
    # So near that the next term of the series, of relative size 2⁻⁶¹, is below every epsilon.
    x = make(ordered, [1]) / 2**60
    assert largest(ordered, getattr(ordered, name)(x) - x) <= 4 * ordered.epsilon * 2.0**-60


def test_order_is_entrywise(ordered, make):
    x, y = make(ordered, [-2, 0, 3]), make(ordered, [1, -1, 3])
    expected = {
        "abs": (ordered.abs(x), [2, 0, 3]),
        "sign": (ordered.sign(x), [-1, 0, 1]),
        "maximum": (ordered.maximum(x, y), [1, 0, 3]),
        "maximum of a number": (ordered.maximum(x, 0.0), [0, 0, 3]),
        "minimum": (ordered.minimum(x, y), [-2, -1, 3]),
        "minimum of a number": (ordered.minimum(x, 0), [-2, 0, 0]),
        "where": (ordered.where(x < y, x, y), [-2, -1, 3]),
        "where of numbers": (ordered.where(x > 0, 1.0, 0.0), [0, 0, 1]),
        "where of both": (ordered.where(x >= 0, x, 5.0), [5, 0, 3]),
    }
    for what, (result, values) in expected.items():
        assert ordered.equal(result, make(ordered, values)), what


def test_reductions_name_their_axis(ordered, make):
    x = make(ordered, [[1, 5, 2], [7, 3, 4]])
    assert ordered.equal(ordered.max(x), ordered.scalar(7))
    assert ordered.equal(ordered.max(x, axis=1), make(ordered, [5, 7]))
    assert ordered.equal(ordered.max(x, axis=0, keepdims=True), make(ordered, [[7, 5, 4]]))
    assert ordered.to_numpy(ordered.argmax(x, axis=1)).tolist() == [1, 0]
    assert ordered.equal(ordered.cumulative_sum(x, axis=1), make(ordered, [[1, 6, 8], [7, 10, 14]]))


def test_the_norm_is_euclidean_over_all_entries(ordered, make):
    assert ordered.norm(make(ordered, [[2, 4], [5, 6]])) == 9.0
    assert ordered.norm(ordered.zeros((0, 2))) == 0.0


def test_is_finite_sees_nan_and_infinity(ordered):
    x = ordered.zeros((2,))
    assert ordered.is_finite(x)
    assert not ordered.is_finite(ordered.cast_numpy(np.array([1.0, np.nan])))
    assert not ordered.is_finite(ordered.cast_numpy(np.array([np.inf, 1.0])))


def test_the_cholesky_factor_is_the_lower_one(ordered, make):
    factor = make(ordered, LOWER)
    assert ordered.equal(ordered.cholesky(factor @ factor.mT), factor)


@pytest.mark.parametrize("matrix", [[[1, 2], [2, 1]], [[-1, 0], [0, 1]], [[0, 0], [0, 1]]], ids=str)
def test_a_matrix_that_is_not_positive_definite_has_no_cholesky_factor(ordered, make, matrix):
    with pytest.raises(NotPositiveError, match="not positive definite"):
        ordered.cholesky(make(ordered, matrix))


def test_triangular_and_cholesky_solves_undo_products(ordered, make):
    factor, x = make(ordered, LOWER), make(ordered, [[1, -2], [3, 4], [5, 0]])
    # 27 terms at most, entries and solutions of at most 5 times 14.
    rounding = 9 * 5 * 14 * ordered.epsilon * np.linalg.cond(LOWER) ** 2
    solved = {
        "factor": ordered.triangular_solve(factor, factor @ x),
        "transpose": ordered.triangular_solve(factor, factor.mT @ x, transpose=True),
        "both": ordered.cholesky_solve(factor, factor @ (factor.mT @ x)),
    }
    for what, result in solved.items():
        assert largest(ordered, result - x) <= rounding, what


def test_a_triangular_matrix_with_zero_on_its_diagonal_is_singular(ordered, make):
    with pytest.raises(SingularMatrixError):
        ordered.triangular_solve(make(ordered, [[1, 0], [1, 0]]), ordered.eye(2))


@given(entries=st.lists(st.integers(-9, 9), min_size=16, max_size=16))
def test_factorisations_multiply_back(ordered, make, entries):
    a = make(ordered, np.array(entries).reshape(4, 4))
    symmetric = a + a.mT
    rounding = 6 * 4**2 * ordered.epsilon
    values, vectors = ordered.eigh(symmetric)
    rebuilt = (vectors * values[None, :]) @ vectors.mT
    assert largest(ordered, rebuilt - symmetric) <= rounding * ordered.norm(symmetric)
    assert largest(ordered, vectors.mT @ vectors - ordered.eye(4)) <= rounding
    assert sorted(ordered.to_numpy(values).tolist()) == ordered.to_numpy(values).tolist()
    q, r = ordered.qr(a[:, :3])
    assert (tuple(q.shape), tuple(r.shape)) == ((4, 3), (3, 3))
    assert largest(ordered, q @ r - a[:, :3]) <= rounding * ordered.norm(a)
    singular_values = ordered.to_numpy(ordered.singular_values(a)).tolist()
    assert sorted(singular_values, reverse=True) == singular_values
    squares = abs(sum(s * s for s in singular_values) - ordered.norm(a) ** 2)
    assert squares <= 2 * rounding * ordered.norm(a) ** 2


def test_uniform_numbers_stay_below_one(ordered):
    x = ordered.to_numpy(ordered.uniform(np.random.default_rng(0), (1000,)))
    assert x.min() >= 0.0
    assert x.max() < 1.0
    # The mean of 1000 has standard deviation 1 / sqrt(12000); six of them.
    assert abs(float(x.mean()) - 0.5) < 6 / math.sqrt(12000)


def test_normal_numbers_are_the_same_at_every_precision(ordered):
    x = ordered.random(np.random.default_rng(0), (5,))
    drawn = np.random.default_rng(0).standard_normal(5)
    assert ordered.equal(x, ordered.cast_numpy(drawn))


def test_casting_goes_between_libraries_and_precisions(ordered):
    x = np.array([1.5, -2.0])
    there = ordered.cast(x)
    assert namespace_of(there) is ordered
    assert namespace_of(x).equal(namespace_of(x).cast(there), x)
    assert ordered.equal(ordered.cast(x.astype("float32")), there)
