"""What is particular to Kronecker products: conventions, the gauge of the factors, mutants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays.exact.prime import GF
from geomkfac.errors import KindError, ShapeError
from geomkfac.operators import DenseMatrix, KroneckerProduct

FIELD = GF(2**31 - 1).default_namespace


def square(size: int) -> st.SearchStrategy[list[list[int]]]:
    return st.lists(st.lists(st.integers(-3, 3), min_size=size, max_size=size), min_size=size, max_size=size)


@st.composite
def products(draw: st.DrawFn, count: int = 1) -> tuple[Any, ...]:
    """The factors (left, right) of one Kronecker product, or of several of the same shape."""
    sizes = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return tuple(np.array(draw(square(size))) for _ in range(count) for size in sizes)


def over_field(left: Any, right: Any) -> KroneckerProduct:
    return KroneckerProduct(FIELD.asarray(left), FIELD.asarray(right))


def oracle(left: Any, right: Any) -> Any:
    """``left ⊗ right`` entry by entry, from the definition."""
    m, size = len(right), len(left) * len(right)
    rows = [[left[i // m][j // m] * right[i % m][j % m] for j in range(size)] for i in range(size)]
    return np.array(rows)


@given(products(), st.integers(0, 2**32 - 1))
def test_a_kronecker_product_is_right_x_left_transposed(factors: tuple[Any, Any], seed: int) -> None:
    left, right = factors
    x = np.random.default_rng(seed).integers(-3, 4, (len(right), len(left)))
    image = over_field(left, right).apply(FIELD.asarray(x))
    assert FIELD.equal(image, FIELD.asarray(right @ x @ left.T))
    stacked = oracle(left, right) @ x.ravel(order="F")
    assert FIELD.equal(FIELD.reshape(image.mT, (-1,)), FIELD.asarray(stacked))


@given(products())
def test_the_dense_matrix_is_the_definition_over_a_finite_field(factors: tuple[Any, Any]) -> None:
    assert FIELD.equal(over_field(*factors).dense(), FIELD.asarray(oracle(*factors)))


MUTANTS = {
    "left and right swapped": lambda a, g, x: a @ x @ g.mT,
    "left not transposed": lambda a, g, x: g @ x @ a,
    "right transposed": lambda a, g, x: g.mT @ x @ a.mT,
    "rows stacked": lambda a, g, x: (g @ x.mT @ a.mT).mT,
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_oracle_refutes_a_wrong_product_on_equal_sizes(mutant: str) -> None:
    rng = np.random.default_rng(0)
    a, g, x = (FIELD.random(rng, (3, 3)) for _ in range(3))
    dense = FIELD.asarray(oracle(FIELD.to_numpy(a), FIELD.to_numpy(g)))
    expected = FIELD.matmul(dense, FIELD.reshape(x.mT, (9,)))
    right, wrong = KroneckerProduct(a, g).apply(x), MUTANTS[mutant](a, g, x)
    assert FIELD.equal(FIELD.reshape(right.mT, (9,)), expected)
    assert not FIELD.equal(FIELD.reshape(wrong.mT, (9,)), expected)


def test_the_oracle_refutes_swapped_factors_in_the_dense_matrix() -> None:
    rng = np.random.default_rng(1)
    a, g = (FIELD.random(rng, (3, 3)) for _ in range(2))
    assert not FIELD.equal(KroneckerProduct(g, a).dense(), KroneckerProduct(a, g).dense())
    assert not KroneckerProduct(g, a).equals(KroneckerProduct(a, g))


@given(products(count=2))
def test_equality_is_equality_of_dense_matrices(factors: tuple[Any, ...]) -> None:
    first, second = factors[:2], factors[2:]
    expected = np.array_equal(np.kron(*first), np.kron(*second))
    assert over_field(*first).equals(over_field(*second)) is expected


@given(products(), st.integers(1, 2**31 - 2))
def test_the_factors_are_determined_up_to_a_scalar_only(factors: tuple[Any, Any], scale: int) -> None:
    left, right = (FIELD.asarray(f) for f in factors)
    gauged = KroneckerProduct(left * scale, right / FIELD.scalar(scale))
    assert KroneckerProduct(left, right).equals(gauged)
    assert gauged.equals(KroneckerProduct(left, right))
    is_zero = not (np.any(factors[0]) and np.any(factors[1]))
    assert KroneckerProduct(left * 2, right).equals(gauged) is is_zero


def test_products_that_agree_in_one_factor_or_one_entry_differ() -> None:
    a, b, g = [[1, 2], [3, 4]], [[1, 2], [3, 5]], [[2, 0], [1, 1]]
    assert not over_field(a, g).equals(over_field(b, g))
    assert not over_field(g, a).equals(over_field(g, b))
    zero = [[0, 0], [0, 0]]
    assert over_field(zero, a).equals(over_field(b, zero))
    assert not over_field(zero, a).equals(over_field(b, g))
    assert not over_field(b, g).equals(over_field(zero, a))
    # Where the first factor is not zero, the other one is.
    assert not over_field([[0, 0], [0, 1]], g).equals(over_field([[1, 0], [0, 0]], g))


def test_a_kronecker_product_equals_the_dense_matrix_of_itself() -> None:
    matrix = over_field([[1, 2], [3, 4]], [[2, 0], [1, 1]])
    dense = DenseMatrix(matrix.dense(), matrix.domain_shape)
    assert matrix.equals(dense)
    assert dense.equals(matrix)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6, -2.0])
def test_gauged_factors_are_close_to_half_of_all_digits_and_beyond(
    ordered: Any, kronecker: Any, scale: float
) -> None:
    matrix = kronecker(ordered, [[4, 1], [1, 3]], [[2, 1], [1, 5]])
    left, right = matrix.factors
    gauged = KroneckerProduct(left * scale, right / scale)
    # Each entry of a product is rounded twice.
    assert matrix.is_close(gauged, relative_tolerance=8 * 4 * ordered.epsilon)
    off = KroneckerProduct(left * scale, right / scale * (1 + 64 * ordered.epsilon))
    assert not matrix.is_close(off, relative_tolerance=8 * 4 * ordered.epsilon)


def test_the_inner_product_with_another_product_is_that_of_dense_matrices(
    namespace: Any, kronecker: Any
) -> None:
    first = kronecker(namespace, [[4, 1], [1, 3]], [[2, 1], [1, 5]])
    second = kronecker(namespace, [[1, 2], [0, 1]], [[3, 0], [1, 1]])
    expected = namespace.pair(first.dense(), second.dense(), 2)
    assert namespace.equal(first.inner(second), expected)  # small whole numbers: exact in every kind
    damped = first.damped_by_identity(2)
    assert namespace.equal(damped.inner(second), namespace.pair(damped.dense(), second.dense(), 2))


def test_factors_are_copies_that_cannot_be_written_to() -> None:
    left, right = np.array([[2.0, 0.0], [0.0, 1.0]]), np.eye(2)
    matrix = KroneckerProduct(left, right)
    left[0, 0] = 7.0
    assert matrix.factors[0][0, 0] == 2.0
    with pytest.raises(ValueError, match="read-only"):
        matrix.factors[0][0, 0] = 7.0


def test_factors_that_are_not_square_or_not_of_one_namespace_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"the right factor \(G\).*\n.*\n  came    : shape \(2, 3\)"):
        KroneckerProduct(np.eye(2), np.zeros((2, 3)))
    with pytest.raises(ShapeError, match=r"the left factor \(A\)"):
        KroneckerProduct(np.zeros((4, 2, 2)), np.eye(2))
    with pytest.raises(KindError):
        KroneckerProduct(np.eye(2), np.eye(2, dtype=np.float32))
    with pytest.raises(KindError):
        KroneckerProduct(np.eye(2), FIELD.eye(2))


def test_the_covariance_of_many_draws_is_the_product() -> None:
    left, right = np.array([[2.0, 1.0], [1.0, 1.0]]), np.array([[1.0, 1.0], [1.0, 1.0]])  # right is singular
    matrix, count = KroneckerProduct(left, right), 200_000
    draws = matrix.vec(matrix.sample(np.random.default_rng(0), (count,)))
    covariance, dense = draws.T @ draws / count, matrix.dense()
    # The entry ij of the sample covariance has variance (M_ii M_jj + M_ij²) / count; 6 deviations.
    deviation = np.sqrt((np.outer(np.diag(dense), np.diag(dense)) + dense**2) / count)
    assert np.all(np.abs(covariance - dense) <= 6 * deviation)
