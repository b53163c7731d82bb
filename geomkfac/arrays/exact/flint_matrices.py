"""Matrices of python-flint, made from and turned into NumPy arrays.  flint is imported on first use."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from geomkfac.errors import SingularMatrixError


def flint() -> Any:
    """The module python-flint."""
    return import_module("flint")


def is_prime(n: int) -> bool:
    """Whether `n` is a prime number (proved, not probable)."""
    return n > 1 and bool(flint().fmpz(n).is_prime())


def flint_solve(a: Any, b: Any, name: str) -> Any:
    """The flint matrix x with ``a x = b``; `name` says the field in the `SingularMatrixError`."""
    try:
        return a.solve(b)
    except ZeroDivisionError as error:
        raise SingularMatrixError(
            "cannot solve: the matrix is singular.\n"
            f"  required: an invertible matrix over {name}\n"
            f"  came    : a matrix of shape {(a.nrows(), a.ncols())} and rank {a.rank()}\n"
            "Use an invertible matrix; for a degenerate metric name a norm."
        ) from error


def flint_nullspace(a: Any, entry: Callable[[Any], Any], dtype: Any) -> Any:
    """A basis of ``{x : a x = 0}`` as the columns of an array, from the reduced row echelon form.

    The columns that hold no pivot are free; each gives one basis vector, 1 there and minus the
    echelon form's column at the pivots.  `entry` turns a number into an array's entry.
    """
    echelon, rank = a.rref()
    n = a.ncols()
    pivots = [next(j for j in range(n) if echelon[i, j] != 0) for i in range(rank)]
    free = [j for j in range(n) if j not in pivots]
    basis = np.full((n, n - rank), entry(0), dtype=dtype)
    for column, j in enumerate(free):
        basis[j, column] = entry(1)
        for i, pivot in enumerate(pivots):
            basis[pivot, column] = entry(-echelon[i, j])
    return basis
