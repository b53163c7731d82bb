"""Structured matrices inside SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg

from geomkfac.errors import KindError
from geomkfac.operators import KroneckerProduct


def test_a_linear_operator_multiplies_as_the_oracle(numpy_case: Any) -> None:
    operator = numpy_case.matrix.as_linear_operator()
    size = numpy_case.matrix.size
    x = np.random.default_rng(0).standard_normal((size, 4)).astype(numpy_case.oracle.dtype)
    assert operator.shape == numpy_case.matrix.shape
    assert operator.dtype == numpy_case.oracle.dtype
    for product, expected in [
        (operator @ x, numpy_case.oracle @ x),
        (operator.T @ x, numpy_case.oracle.T @ x),
        (operator @ x[:, 0], numpy_case.oracle @ x[:, 0]),
        (operator @ x[:, :1], numpy_case.oracle @ x[:, :1]),
        (operator.rmatvec(x[:, 0]), numpy_case.oracle.T @ x[:, 0]),
    ]:
        assert numpy_case.close(product, expected, numpy_case.condition)
        assert product.dtype == numpy_case.oracle.dtype


def test_conjugate_gradients_agree_with_solve() -> None:
    matrix = KroneckerProduct(np.array([[4.0, 1.0], [1.0, 3.0]]), np.array([[3.0, 1.0], [1.0, 2.0]]))
    right = np.arange(4.0)
    solution, info = scipy.sparse.linalg.cg(matrix.as_linear_operator(), right, rtol=1e-12)
    assert info == 0
    expected = matrix.vec(matrix.solve(matrix.unvec(right)))
    # A residual of 1e-12 |b| is an error of at most 1e-12 condition |x|.
    assert np.linalg.norm(solution - expected) <= 2e-12 * matrix.condition_number() * np.linalg.norm(expected)


def test_other_array_libraries_are_refused(ordered: Any, kronecker: Any) -> None:
    matrix = kronecker(ordered, [[2]], [[3]])
    if "strict" in ordered.name:
        with pytest.raises(KindError, match=r"came    : array_api_strict|came    : .*strict"):
            matrix.as_linear_operator()
    else:
        assert matrix.as_linear_operator().shape == (1, 1)
