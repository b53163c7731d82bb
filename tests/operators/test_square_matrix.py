"""Factorisations of one factor, and how factors that have none are refused."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from geomkfac.errors import NotPositiveError, SingularMatrixError
from geomkfac.operators import KroneckerProduct
from geomkfac.operators.square_matrix import SquareMatrix

SINGULAR = [[1, 1, 0], [1, 1, 0], [0, 0, 2]]
REGULAR = [[3, 1], [1, 2]]


@pytest.mark.parametrize("name", [r"left factor \(A\), of size 3", r"right factor \(G\), of size 3"])
def test_a_singular_factor_is_named_and_not_solved_with(ordered: Any, kronecker: Any, name: str) -> None:
    left, right = (REGULAR, SINGULAR) if "right" in name else (SINGULAR, REGULAR)
    matrix = kronecker(ordered, left, right)
    x = matrix.unvec(ordered.ones((6,)))
    for ask in (
        lambda: matrix.solve(x),
        matrix.inverse,
        lambda: matrix.power(-1),
        lambda: matrix.power(-0.5),
    ):
        with pytest.raises(SingularMatrixError, match=name) as error:
            ask()
        assert "damped_by_identity" in str(error.value)
    with pytest.raises(NotPositiveError, match=name):
        matrix.logdet()


def test_a_singular_matrix_over_a_finite_field_is_not_solved_with(singular_exact: Any) -> None:
    with pytest.raises(SingularMatrixError, match="left factor"):
        singular_exact.matrix.solve(singular_exact.operand(0))


def test_an_indefinite_matrix_has_no_root_but_is_solved_with(ordered: Any, kronecker: Any) -> None:
    matrix = kronecker(ordered, [[1, 2], [2, 1]], [[2, 0], [0, 1]])
    x = ordered.reshape(ordered.ones((4,)), (2, 2))
    solved = matrix.apply(matrix.solve(x))
    # condition (3/1) * (2/1) = 6, size 4
    assert ordered.norm(solved - x) <= 8 * 4 * ordered.epsilon * 6 * ordered.norm(x)
    for ask in (lambda: matrix.power(0.5), matrix.logdet, lambda: matrix.sample(np.random.default_rng(0))):
        with pytest.raises(NotPositiveError, match=r"left factor \(A\)"):
            ask()


def test_an_unsymmetric_matrix_has_no_root(ordered: Any, kronecker: Any) -> None:
    matrix = kronecker(ordered, [[1, 2], [0, 1]], [[2, 0], [0, 1]])
    for ask in (lambda: matrix.power(0.5), matrix.logdet, lambda: matrix.sample(np.random.default_rng(0))):
        with pytest.raises(NotPositiveError, match="symmetric"):
            ask()


def degenerate(seed: int, size: int, scale: float) -> Any:
    """A Gram matrix of rank size - 1 up to rounding, two of whose coordinates have other units."""
    units = np.ones(size)
    units[1], units[-1] = scale, 1 / scale
    directions = np.random.default_rng(seed).standard_normal((size, size - 1)) * units[:, None]
    factor = directions @ directions.T
    return (factor + factor.T) / 2


@pytest.mark.parametrize("size", [4, 10, 50])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_a_factor_that_is_singular_up_to_rounding_is_refused_in_any_unit(size: int, scale: float) -> None:
    """A Cholesky factor of noise exists about every second time; solving with it would be silent garbage."""
    for seed in range(20):
        factor = degenerate(seed, size, scale)
        assert SquareMatrix(factor, "the matrix").rank() == size - 1
        with pytest.raises(SingularMatrixError, match="left factor"):
            KroneckerProduct(factor, np.eye(1)).solve(np.ones((1, size)))


def test_a_small_but_regular_factor_is_solved_with_in_any_unit() -> None:
    units = np.array([1.0, 1e-8, 1e8])
    factor = units[:, None] * np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 2.0]]) * units
    matrix, x = KroneckerProduct(factor, np.eye(1)), np.array([[1.0, 2.0, 3.0]])
    # Diagonal scaling commutes with Cholesky up to rounding: the condition number is that without units, 6.
    error = (matrix.solve(matrix.apply(x)) - x) * units
    assert matrix.rank() == 3
    assert np.linalg.norm(error) <= 8 * 3 * np.finfo(float).eps * 6 * np.linalg.norm(x * units)


def test_a_factor_that_differs_from_its_transpose_by_rounding_alone_is_symmetric() -> None:
    factor = np.array([[2.0, 1.0], [1.0 + 2 * np.finfo(float).eps, 2.0]])
    assert SquareMatrix(factor, "the matrix").is_symmetric()
    assert not SquareMatrix(factor + np.array([[0, 1e-12], [0, 0]]), "the matrix").is_symmetric()


def test_a_root_of_a_semidefinite_matrix_takes_rounding_for_zero() -> None:
    direction = np.array([[1.0, 0.1, 1 / 3]])
    root = SquareMatrix(direction.T @ direction, "the matrix").power(Fraction(1, 2))
    # The root of noise of size 3 epsilon is as large as its square root, and no larger.
    expected = direction.T @ direction / np.linalg.norm(direction)
    assert np.linalg.norm(root - expected) <= np.sqrt(3 * np.finfo(float).eps) * np.linalg.norm(direction)


def test_factorisations_are_kept() -> None:
    square = SquareMatrix(np.array([[2.0, 1.0], [1.0, 2.0]]), "the matrix")
    assert square.cholesky() is square.cholesky()
    assert square.inverse() is square.inverse()
    assert square.power(Fraction(1, 2)) is square.power(Fraction(1, 2))
