"""Cut-offs of matrices: rank, singularity, positivity, symmetry; and what one is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from geomkfac.errors import GeomkfacError, NotPositiveError, SingularMatrixError
from geomkfac.operators import DenseMatrix, KroneckerProduct
from geomkfac.operators.cholesky_solver import CholeskySolver
from geomkfac.operators.square_matrix import SquareMatrix
from geomkfac.updates.roots import polar_factor, semidefinite_power


@final
@dataclass(frozen=True)
class CutOff:
    """A cut-off.

    Attributes
    ----------
    place : the file where it is drawn
    counts : whether something of the size `times` the cut-off counts, as a function of (namespace, size, times)
    slack : how far from 1 the times must be, where norms are estimated, or where a number next to 1 is to be had
    """

    place: str
    counts: Callable[[Any, int, float], bool]
    slack: float = 1.25


def raised(errors: type[GeomkfacError], call: Callable[[], object]) -> bool:
    """Whether a call is refused."""
    try:
        call()
    except errors:
        return True
    return False


def diagonal(ns: Any, n: int, last: float) -> Any:
    """The identity of size n, but for the last entry."""
    return ns.cast_numpy(np.diag([*(1.0,) * (n - 1), last]))


def corner(ns: Any, n: int, entry: float, place: tuple[int, int] = (0, 1)) -> Any:
    """The identity of size n, with one more entry."""
    matrix = np.eye(n)
    matrix[place] = entry
    return ns.cast_numpy(matrix)


def nearly_singular(ns: Any, n: int, gap: float, units: float = 1.0) -> Any:
    """``[[1, 1 - gap], [1 - gap, 1]]`` and ones, with the second coordinate in other units; smallest eigenvalue gap."""
    matrix = np.eye(n)
    matrix[0, 1] = matrix[1, 0] = 1 - gap
    lengths = np.asarray([1.0, units, *(1.0,) * (n - 2)])
    return ns.cast_numpy(matrix * lengths[:, None] * lengths)


# -- arrays ------------------------------------------------------------------------------------------------------
def of_equations(ns: Any, n: int, times: float) -> Any:
    """A matrix whose reciprocal condition number, in the norm of columns, is so many epsilons; its units are odd."""
    matrix = np.eye(n)
    matrix[:2, :2] = [[1.0, 1.0], [1.0, 1.0 + 4 * times * ns.epsilon]]
    lengths = 2.0 ** np.asarray([20, -20, *(0,) * (n - 2)])
    return ns.cast_numpy(matrix * lengths)


def solves(ns: Any, n: int, times: float) -> bool:
    a = of_equations(ns, n, times)
    refused = {
        raised(SingularMatrixError, lambda: ns.solve(a, ns.ones((n, 1)))),
        raised(SingularMatrixError, lambda: ns.inverse(a)),
    }
    assert len(refused) == 1
    return not refused.pop()


def rank_of_rectangles(ns: Any, n: int, times: float) -> bool:
    """More columns than rows: these count."""
    a = ns.concat([diagonal(ns, n, times * 2 * n * ns.epsilon), ns.zeros((n, n))], axis=1)
    assert ns.nullspace(a).shape[1] == 2 * n - ns.rank(a)
    return ns.rank(a) == n


# -- operators ---------------------------------------------------------------------------------------------------
def positive(ns: Any, n: int, times: float) -> bool:
    a = nearly_singular(ns, n, times * n * ns.epsilon, 2.0**10)
    assert raised(NotPositiveError, lambda: DenseMatrix(a).logdet()) is (SquareMatrix(a, "a").cholesky() is None)
    return SquareMatrix(a, "a").cholesky() is not None


def asymmetric(ns: Any, n: int, times: float) -> bool:
    return not SquareMatrix(corner(ns, n, times * n * ns.epsilon * math.sqrt(n / 2)), "a").is_symmetric()


def rank_in_any_units(ns: Any, n: int, times: float) -> bool:
    # The largest eigenvalue is 2.
    return DenseMatrix(nearly_singular(ns, n, 2 * times * n * ns.epsilon, 2.0**10)).rank() == n


def damped(ns: Any, n: int, gamma: float) -> Any:
    """A product of rank 1, damped."""
    A, G = np.zeros((n, n)), np.zeros((2, 2))
    A[0, 0] = G[0, 0] = 1
    return KroneckerProduct(ns.cast_numpy(A), ns.cast_numpy(G)).damped_by_identity(gamma)


def solves_damped(ns: Any, n: int, times: float) -> bool:
    return not raised(SingularMatrixError, lambda: damped(ns, n, times * ns.epsilon).solve(ns.ones((2, n))))


def power_of_damped(ns: Any, n: int, times: float) -> bool:
    return not raised(SingularMatrixError, lambda: damped(ns, n, times * ns.epsilon).diagonalized().power(-0.5))


def with_the_inverse(ns: Any, n: int, times: float) -> bool:
    """An inverse is told from triangular solves by a fault in it; it is used *below* ``n epsilon cond(a) = 1``."""
    smallest = times * n * ns.epsilon
    wrong = diagonal(ns, n, 1 / smallest) + corner(ns, n, 3.0, (0, 0)) - ns.eye(n)
    a = diagonal(ns, n, smallest)
    solver = CholeskySolver(ns, a, ns.cholesky(a), lambda: wrong)
    for _ in range(2):
        found = solver.columns(ns.eye(n))
    return float(found[0, 0]) == 3.0


# -- updates -----------------------------------------------------------------------------------------------------
def root(ns: Any, n: int, times: float) -> bool:
    return float(semidefinite_power(ns, diagonal(ns, n, times * n * ns.epsilon), -0.5)[n - 1, n - 1]) != 0


def polar(ns: Any, n: int, times: float) -> bool:
    return abs(float(polar_factor(ns, diagonal(ns, n, times * 2 * n * ns.epsilon))[n - 1, n - 1])) > 0.5


OF_MATRICES: dict[str, CutOff] = {
    "solve and inverse": CutOff("arrays/floats/solvers/by_numpy.py", solves, 2),
    "rank and null space": CutOff("arrays/floats/floating.py", rank_of_rectangles),
    "positive definite": CutOff("operators/square_matrix.py", positive, 1.5),
    "symmetric": CutOff("operators/square_matrix.py", asymmetric),
    "rank of a symmetric matrix": CutOff("operators/square_matrix.py", rank_in_any_units, 1.5),
    "negative eigenvalues of a power": CutOff(
        "operators/square_matrix.py",
        lambda ns, n, t: raised(NotPositiveError, lambda: DenseMatrix(diagonal(ns, n, -t * n * ns.epsilon)).power(0.5)),
    ),
    "a negative power": CutOff(
        "operators/square_matrix.py",
        lambda ns, n, t: (
            not raised(SingularMatrixError, lambda: DenseMatrix(diagonal(ns, n, t * n * ns.epsilon)).power(-0.5))
        ),
    ),
    "solve, damped": CutOff("operators/kronecker_basis.py", solves_damped),
    "a negative power, damped": CutOff("operators/kronecker_basis.py", power_of_damped),
    "products with the inverse": CutOff("operators/cholesky_solver.py", with_the_inverse),
    "close matrices": CutOff(
        "operators/operator.py",
        lambda ns, n, t: not DenseMatrix(ns.eye(n)).is_close(DenseMatrix(ns.eye(n) * (1 - t * math.sqrt(ns.epsilon)))),
    ),
    "powers of degenerate matrices": CutOff("updates/roots.py", root),
    "polar factors": CutOff("updates/roots.py", polar),
}
