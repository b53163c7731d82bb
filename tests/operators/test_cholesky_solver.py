"""Many solves with one matrix: triangular ones at first, products with the inverse later, one error bound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from geomkfac.arrays import namespace_of
from geomkfac.operators.cholesky_solver import CholeskySolver

SIZES = [1, 5, 40]
CONDITIONS = [1.0, 1e2, 1e4]


def problem(n: int, condition: float, seed: int = 0) -> tuple[Any, Any]:
    """A positive definite float32 matrix of about this condition number, and its double."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    a = ((Q * np.geomspace(1, condition, n)) @ Q.T).astype(np.float32)
    a = (a + a.T) / 2
    return a, a.astype(np.float64)


def solver_of(a: Any) -> CholeskySolver:
    ns = namespace_of(a).ordered("test")
    return CholeskySolver(ns, a, ns.cholesky(a))


def worst(found: Any, b: Any, double: Any) -> float:
    """The largest ``|error| / (n epsilon cond |x|)`` of columns; 1 is what both ways promise."""
    exact = np.linalg.solve(double, b.astype(np.float64))
    bound = len(double) * float(np.finfo(np.float32).eps) * np.linalg.cond(double)
    return float((np.linalg.norm(found - exact, axis=0) / (bound * np.linalg.norm(exact, axis=0))).max())


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("n", SIZES)
def test_both_ways_keep_the_bound_for_right_hand_sides_in_every_direction(n: int, condition: float) -> None:
    a, double = problem(n, condition)
    solver = solver_of(a)
    directions = np.linalg.eigh(double)[1].astype(np.float32)
    b = np.concatenate([directions, np.random.default_rng(1).standard_normal((n, n)).astype(np.float32)], axis=1)
    first, then = solver.columns(b), solver.columns(b)
    assert worst(first, b, double) <= 1
    assert worst(then, b, double) <= 1


def test_a_batch_is_solved_as_one_after_the_other() -> None:
    a, double = problem(5, 1e2)
    b = np.random.default_rng(2).standard_normal((3, 2, 5, 4)).astype(np.float32)
    solver = solver_of(a)
    for _ in range(2):  # by the factor, then by the inverse
        found = solver.columns(b)
        assert found.shape == b.shape
        assert max(worst(found[i, j], b[i, j], double) for i in range(3) for j in range(2)) <= 1
        assert worst(found[0, 0], b[0, 1], double) > 1


def test_the_bound_refutes_an_inverse_of_another_matrix() -> None:
    _, double = problem(40, 1e2)
    wrong = np.linalg.inv(double + 0.05 * np.eye(40)).astype(np.float32)
    b = np.linalg.eigh(double)[1].astype(np.float32)
    assert worst(wrong @ b, b, double) > 1


def test_the_inverse_is_made_once_as_many_columns_as_rows_were_solved() -> None:
    a, _ = problem(6, 1e2)
    made: list[int] = []
    ns = namespace_of(a).ordered("test")

    def inverse() -> Any:
        made.append(1)
        return ns.inverse(a)

    solver = CholeskySolver(ns, a, ns.cholesky(a), inverse)
    b = np.ones((6, 2), np.float32)
    for _ in range(3):
        solver.columns(b)
    assert not made
    for _ in range(3):
        solver.rows(b.T)
    assert made == [1]


def test_a_matrix_that_is_nearly_singular_keeps_its_triangular_solves() -> None:
    a, _ = problem(6, 1e7)
    a = a + np.float32(1e-6) * np.eye(6, dtype=np.float32)
    solver = solver_of(a)
    b = np.eye(6, dtype=np.float32)
    first = solver.columns(b)
    assert all(np.array_equal(solver.columns(b), first) for _ in range(3))


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (4, 1)])
def test_empty_matrices_and_right_hand_sides(shape: tuple[int, int]) -> None:
    a = np.eye(shape[0])
    solver = solver_of(a)
    for _ in range(5):
        assert np.array_equal(solver.columns(np.ones(shape)), np.ones(shape))
        assert np.array_equal(solver.rows(np.ones(shape[::-1])), np.ones(shape[::-1]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [0, 1, 3, 64, 65, 150])
def test_the_inverse_by_the_cholesky_factor_is_symmetric_and_an_inverse(n: int, dtype: Any) -> None:
    rng = np.random.default_rng(n)
    x = rng.standard_normal((2 * n, n)).astype(dtype)
    a = x.T @ x + np.eye(n, dtype=dtype)
    ns = namespace_of(a).ordered("test")
    inverse = ns.cholesky_inverse(ns.cholesky(a))
    assert np.array_equal(inverse, inverse.T)
    if n:
        allowed = n * np.finfo(dtype).eps * np.linalg.cond(a.astype(float))
        assert np.linalg.norm(inverse @ a - np.eye(n), 2) <= allowed
        assert np.linalg.norm(inverse.T @ a * 1.01 - np.eye(n), 2) > allowed
