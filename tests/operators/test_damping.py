"""Damping, exact and factored, by the identity and by another metric's matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from geomkfac.arrays.exact.prime import GF
from geomkfac.errors import (
    KindError,
    NotPositiveError,
    ShapeError,
    SingularMatrixError,
    UnknownNameError,
    ValuesError,
)
from geomkfac.operators import BlockDiagonal, DenseMatrix, ExactlyDampedKroneckerProduct, KroneckerProduct

A = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 2.0]])
G = np.array([[3.0, 1.0], [1.0, 2.0]])
H = np.array([[2.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 3.0]])
K = np.array([[2.0, -1.0], [-1.0, 4.0]])
EPSILON = float(np.finfo(float).eps)


def test_exact_damping_adds_gamma_times_the_identity() -> None:
    damped = KroneckerProduct(A, G).damped_by_identity(0.5)
    assert isinstance(damped, ExactlyDampedKroneckerProduct)
    assert np.array_equal(damped.dense(), np.kron(A, G) + 0.5 * np.eye(6))


def test_factored_damping_by_the_identity_has_the_trace_norm_balance() -> None:
    gamma = 0.3
    pi = math.sqrt((np.trace(A) / 3) / (np.trace(G) / 2))
    left, right = KroneckerProduct(A, G).damped_by_identity(gamma, "factored").factors
    # One rounding each in pi, its root, the product and the sum.
    np.testing.assert_allclose(left, A + pi * math.sqrt(gamma) * np.eye(3), rtol=8 * EPSILON)
    np.testing.assert_allclose(right, G + math.sqrt(gamma) / pi * np.eye(2), rtol=8 * EPSILON)


def test_the_trace_norm_balance_minimises_the_trace_of_what_factored_damping_adds() -> None:
    matrix = KroneckerProduct(A, G)

    def surplus(pi: float | None) -> float:
        return float(matrix.damped_by_identity(0.3, "factored", pi=pi).trace())

    best = surplus(None)
    pi = math.sqrt((np.trace(A) / 3) / (np.trace(G) / 2))
    assert all(surplus(pi * factor) > best for factor in (0.5, 0.9, 1.1, 2.0))


def test_factored_damping_exceeds_exact_damping() -> None:
    matrix = KroneckerProduct(A, G)
    surplus = matrix.damped_by_identity(0.3, "factored").dense() - matrix.damped_by_identity(0.3).dense()
    smallest = np.linalg.eigvalsh(surplus)[0]
    assert smallest > 0


@pytest.mark.parametrize("kind", ["exact", "factored"])
@pytest.mark.parametrize("scale", [8.0, 2.0**-20, -4.0])
def test_damping_does_not_depend_on_the_gauge_of_the_factors(kind: str, scale: float) -> None:
    """Powers of two are exact, so what differs is a fault."""
    damped = KroneckerProduct(A, G).damped_by_identity(0.25, kind)
    gauged = KroneckerProduct(A * scale, G / scale).damped_by_identity(0.25, kind)
    assert damped.is_close(gauged, relative_tolerance=16 * EPSILON)


def test_damping_each_factor_by_itself_would_depend_on_the_gauge() -> None:
    def per_factor(a: Any, g: Any) -> KroneckerProduct:
        return KroneckerProduct(a + 0.25 * np.eye(3), g + 0.25 * np.eye(2))

    assert not per_factor(A, G).is_close(per_factor(8 * A, G / 8))


@pytest.mark.parametrize("kind", ["exact", "factored"])
def test_damping_by_a_metric_commutes_with_a_change_of_basis(kind: str) -> None:
    b, c = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [1.0, 0.0, 1.0]]), np.array([[2.0, 1.0], [1.0, 1.0]])

    def moved(left: Any, right: Any) -> KroneckerProduct:
        return KroneckerProduct(b @ left @ b.T, c @ right @ c.T)

    here = KroneckerProduct(A, G).damped_by(KroneckerProduct(H, K), 0.5, kind).dense()
    there = moved(A, G).damped_by(moved(H, K), 0.5, kind).dense()
    carried = np.kron(b, c) @ here @ np.kron(b, c).T
    condition = (np.linalg.cond(np.kron(b, c)) ** 2) * np.linalg.cond(np.kron(H, K))
    assert np.linalg.norm(there - carried) <= 8 * 6 * EPSILON * condition * np.linalg.norm(carried)
    # The identity of a frame is not carried along.
    by_identity = KroneckerProduct(A, G).damped_by_identity(0.5, kind).dense()
    moved_identity = moved(A, G).damped_by_identity(0.5, kind).dense()
    wrong = np.kron(b, c) @ by_identity @ np.kron(b, c).T - moved_identity
    assert np.linalg.norm(wrong) > 1e-2 * np.linalg.norm(moved_identity)


def test_damping_by_the_identity_is_damping_by_a_metric_that_is_one() -> None:
    by_identity = KroneckerProduct(A, G).damped_by_identity(0.5, "factored")
    nearly = KroneckerProduct(np.eye(3) * 2.0, np.eye(2) / 2.0)  # the same product, other factors
    by_metric = KroneckerProduct(A, G).damped_by(nearly, 0.5, "factored")
    assert by_identity.is_close(by_metric, relative_tolerance=32 * EPSILON)


def test_damping_over_a_finite_field_is_exact_addition() -> None:
    field = GF(10007).default_namespace
    a, g, h, k = (field.asarray(x.astype(int)) for x in (A, G, H, K))
    damped = KroneckerProduct(a, g).damped_by(KroneckerProduct(h, k), 3)
    dense = field.kron(a, g) + field.kron(h, k) * 3
    assert damped.equals(DenseMatrix(dense, (2, 3)))
    assert not damped.equals(DenseMatrix(field.kron(a, g), (2, 3)))
    x = field.random(np.random.default_rng(0), (4, 2, 3))
    assert field.equal(damped.apply(damped.solve(x)), x)
    with pytest.raises(KindError, match="factored damping"):
        KroneckerProduct(a, g).damped_by_identity(3, "factored")
    with pytest.raises(ValuesError, match="must not be zero"):
        KroneckerProduct(a, g).damped_by_identity(10007)
    with pytest.raises(KindError):
        KroneckerProduct(a, g).damped_by_identity(0.5)


@pytest.mark.parametrize("gamma", [0, -1.0, math.nan, math.inf, "1", None])
@pytest.mark.parametrize("kind", ["exact", "factored"])
def test_a_strength_that_is_not_positive_is_refused(gamma: Any, kind: str) -> None:
    with pytest.raises(ValuesError, match="positive gamma"):
        KroneckerProduct(A, G).damped_by_identity(gamma, kind)


def test_a_balance_that_is_not_positive_or_not_wanted_is_refused() -> None:
    with pytest.raises(ValuesError, match="positive pi"):
        KroneckerProduct(A, G).damped_by_identity(1.0, "factored", pi=0.0)
    with pytest.raises(ValuesError, match="exact damping has no pi"):
        KroneckerProduct(A, G).damped_by_identity(1.0, pi=1.0)


@pytest.mark.parametrize(("left", "right"), [(0 * A, G), (A, 0 * G), (A, -G)])
def test_a_trace_that_is_not_positive_gives_no_balance(left: Any, right: Any) -> None:
    with pytest.raises(ValuesError, match=r"pass pi=1\.0|Pass pi=1\.0"):
        KroneckerProduct(left, right).damped_by_identity(1.0, "factored")
    explicit = KroneckerProduct(left, right).damped_by_identity(1.0, "factored", pi=1.0)
    assert np.array_equal(explicit.dense(), np.kron(left + np.eye(3), right + np.eye(2)))


def test_an_unknown_kind_of_damping_is_refused() -> None:
    for matrix in (KroneckerProduct(A, G), DenseMatrix(A)):
        with pytest.raises(UnknownNameError, match="'heuristic'"):
            matrix.damped_by_identity(1.0, "heuristic")


def test_a_dense_matrix_has_no_factors_to_damp() -> None:
    with pytest.raises(UnknownNameError, match="no factors"):
        DenseMatrix(A).damped_by_identity(1.0, "factored")
    assert np.array_equal(DenseMatrix(A).damped_by_identity(1.0).dense(), A + np.eye(3))


def test_blocks_are_damped_by_their_own_references() -> None:
    matrix = BlockDiagonal((KroneckerProduct(A, G), DenseMatrix(A)))
    reference = BlockDiagonal((KroneckerProduct(H, K), DenseMatrix(H)))
    first, second = matrix.damped_by(reference, 0.5).blocks
    assert np.array_equal(first.dense(), np.kron(A, G) + 0.5 * np.kron(H, K))
    assert np.array_equal(second.dense(), A + 0.5 * H)
    with pytest.raises(ShapeError):
        matrix.damped_by(KroneckerProduct(H, K), 0.5)
    with pytest.raises(KindError, match="Damp a matrix once"):
        matrix.damped_by_identity(1.0).damped_by_identity(1.0)


def test_a_kronecker_product_is_damped_by_a_kronecker_product_alone() -> None:
    with pytest.raises(ShapeError, match="is damped by a Kronecker product"):
        KroneckerProduct(A, G).damped_by(DenseMatrix(np.eye(6), (2, 3)), 1.0)


def test_what_damps_must_be_positive_definite() -> None:
    damped = KroneckerProduct(A, G).damped_by(KroneckerProduct(H, np.diag([1.0, -1.0])), 1.0)
    with pytest.raises(NotPositiveError, match="right factor"):
        damped.solve(np.ones((2, 3)))


def test_damping_that_is_lost_in_rounding_or_cancels_is_refused() -> None:
    singular = np.diag([1.0, 1.0, 0.0])
    with pytest.raises(SingularMatrixError, match="Damp it more"):
        KroneckerProduct(singular, G).damped_by_identity(1e-18).solve(np.ones((2, 3)))
    cancelling = KroneckerProduct(np.diag([1.0, -1.0]), np.eye(2)).damped_by_identity(1.0)
    with pytest.raises(SingularMatrixError, match="Damp it more"):
        cancelling.solve(np.ones((2, 2)))
    with pytest.raises(NotPositiveError, match="positive definite"):
        cancelling.logdet()


def test_structure_that_is_lost_in_oblique_bases_is_refused() -> None:
    damped = KroneckerProduct(A, G).damped_by(KroneckerProduct(H, K), 0.5)
    for ask in (lambda: damped.power(2), lambda: damped.power(0.5), damped.condition_number):
        with pytest.raises(ValuesError, match="not orthonormal"):
            ask()


def test_factorisations_are_computed_once() -> None:
    damped = KroneckerProduct(A, G).damped_by_identity(0.5)
    assert damped.diagonalized() is damped.diagonalized()
    assert damped.inverse() is damped.inverse()


def test_the_inner_product_of_two_inverses_is_that_of_dense_matrices() -> None:
    first = KroneckerProduct(A, G).damped_by(KroneckerProduct(H, K), 0.5).inverse()
    second = KroneckerProduct(H, K).damped_by_identity(2.0).inverse()
    expected = np.sum(first.dense() * second.dense())
    # Both are positive definite with condition numbers below 100.
    assert max(np.linalg.cond(first.dense()), np.linalg.cond(second.dense())) < 100
    for inner in (first.inner(second), second.inner(first)):
        assert abs(inner - expected) <= 8 * 6 * EPSILON * 100 * expected
