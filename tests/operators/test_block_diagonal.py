"""What is particular to block diagonal matrices and to dense blocks."""

from __future__ import annotations

import numpy as np
import pytest

from geomkfac.arrays.exact.prime import GF
from geomkfac.errors import KindError, ShapeError
from geomkfac.operators import BlockDiagonal, DenseMatrix, KroneckerProduct

A = np.array([[4.0, 1.0], [1.0, 3.0]])
FIELD = GF(10007).default_namespace


def test_a_block_diagonal_matrix_acts_on_each_array_by_its_block() -> None:
    matrix = BlockDiagonal((KroneckerProduct(A, np.eye(3)), DenseMatrix(A)))
    x, y = np.ones((3, 2)), np.array([1.0, -1.0])
    first, second = matrix.apply([x, y])
    assert np.array_equal(first, x @ A.T)
    assert np.array_equal(second, A @ y)
    assert matrix.domain_shape == ((3, 2), (2,))
    assert matrix.shape == (8, 8)


def test_a_dense_block_on_matrices_reads_their_columns_one_after_the_other() -> None:
    field_matrix = FIELD.random(np.random.default_rng(0), (6, 6))
    x = FIELD.random(np.random.default_rng(1), (2, 3))
    columns = FIELD.concat([x[:, 0], x[:, 1], x[:, 2]])
    image = DenseMatrix(field_matrix, (2, 3)).apply(x)
    expected = FIELD.matmul(field_matrix, columns)
    assert FIELD.equal(FIELD.concat([image[:, 0], image[:, 1], image[:, 2]]), expected)
    rows = FIELD.matmul(field_matrix, FIELD.reshape(x, (6,)))
    assert not FIELD.equal(FIELD.reshape(image, (6,)), rows)


def test_equal_blocks_make_equal_matrices_and_one_other_block_does_not() -> None:
    def matrix(scale: int) -> BlockDiagonal:
        a, g = FIELD.asarray(np.array([[1, 2], [3, 4]])), FIELD.asarray(np.array([[5]]))
        return BlockDiagonal((KroneckerProduct(a * 2, g), KroneckerProduct(a, g * scale)))

    half = FIELD.scalar(1) / FIELD.scalar(2)
    a, g = FIELD.asarray(np.array([[1, 2], [3, 4]])), FIELD.asarray(np.array([[5]]))
    gauged = BlockDiagonal((KroneckerProduct(a, g * 2), KroneckerProduct(a * half, g * 2)))
    assert matrix(1).equals(gauged)
    assert not matrix(2).equals(gauged)


def test_wrong_blocks_are_refused() -> None:
    with pytest.raises(ShapeError, match="at least one"):
        BlockDiagonal(())
    with pytest.raises(KindError, match="Wrap an array"):
        BlockDiagonal((A,))  # type: ignore[arg-type]
    with pytest.raises(KindError, match="share one namespace"):
        BlockDiagonal((DenseMatrix(A), DenseMatrix(A.astype(np.float32))))


def test_wrong_operands_are_refused() -> None:
    matrix = BlockDiagonal((DenseMatrix(A), DenseMatrix(A)))
    with pytest.raises(ShapeError, match="one array for each block"):
        matrix.apply((np.ones(2),))
    with pytest.raises(ShapeError, match=r"apply \(block 1\)"):
        matrix.apply((np.ones(2), np.ones(3)))


def test_a_dense_matrix_must_act_on_as_many_entries_as_it_has_columns() -> None:
    for wrong in [(3,), (2, 2), (1, 1, 2)]:
        with pytest.raises(ShapeError, match="acts_on"):
            DenseMatrix(A, wrong)
    with pytest.raises(ShapeError, match="square"):
        DenseMatrix(np.ones((2, 3)))
