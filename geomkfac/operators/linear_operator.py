"""Structured matrices as SciPy's linear operators, for its iterative solvers and eigenvalue methods."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from geomkfac.errors import KindError

if TYPE_CHECKING:
    from geomkfac.operators.operator import StructuredMatrix


def as_linear_operator(matrix: StructuredMatrix) -> Any:
    """`matrix` as a ``scipy.sparse.linalg.LinearOperator`` of shape (N, N) on stacked columns.

    Raises
    ------
    KindError
        for exact kinds, and for arrays of another library than NumPy.
    """
    prototype = matrix.namespace.zeros((0,))
    if matrix.namespace.kind.is_exact or not isinstance(prototype, np.ndarray):
        raise KindError(
            "a SciPy linear operator needs a matrix of NumPy floating-point numbers.\n"
            f"  required: numpy float32 or float64\n  came    : {matrix.namespace.name}\n"
            "Use apply and solve, or convert the factors to NumPy first."
        )
    dtype = prototype.dtype

    def product(matrix: StructuredMatrix, columns: Any) -> Any:
        # SciPy passes a vector (N,), a column (N, 1) or many (N, k), of whatever dtype.
        rows = np.asarray(columns, dtype=dtype).T
        return matrix.vec(matrix.apply(matrix.unvec(rows))).T

    linear_operator = import_module("scipy.sparse.linalg").LinearOperator
    return linear_operator(
        matrix.shape,
        matvec=lambda x: product(matrix, x),
        rmatvec=lambda x: product(matrix.transpose, x),
        matmat=lambda x: product(matrix, x),
        rmatmat=lambda x: product(matrix.transpose, x),
        dtype=dtype,
    )
