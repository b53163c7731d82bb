"""Cut-offs of ranks: what rounding may have made zero, and what it may have made of the data."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

import geomkfac as gk
from geomkfac.cli.factors import condition
from geomkfac.errors import ConditioningError, DegenerateMetricError
from geomkfac.metrics.tensors.degenerate import CERTAIN, null_space
from geomkfac.metrics.tensors.dense import CLEAR, UNSEEN
from geomkfac.networks.moments.reference import FAR, KNOWN, ORDINARY, _Spread
from geomkfac.spaces.samples.rounding import LOST, Doubt, _compared
from geomkfac.spaces.whitening import WHITE, require_white, root_of

from .cutoffs_of_matrices import CutOff, diagonal, nearly_singular, raised

MANY = 10**9
"""So many data that a cut-off that grew with them would be far above every eigenvalue."""


def linear_algebra(ns: Any, n: int, times: float) -> bool:
    return null_space(ns, nearly_singular(ns, n, times * n * ns.epsilon)).dim == 0


def sums(ns: Any, n: int, times: float) -> bool:
    rounded = ns.rounding_of_sums(MANY)
    assert ns.epsilon < rounded < 2.0**-12
    return null_space(ns, nearly_singular(ns, n, times * rounded), terms=MANY).dim == 0


def few_sums(ns: Any, n: int, times: float) -> bool:
    return null_space(ns, nearly_singular(ns, n, times * 100 * ns.epsilon), terms=100).dim == 0


def noise_of_one(ns: Any, n: int, times: float) -> bool:
    """A coordinate in a unit of its own, which is noise or is not."""
    noise, unit = 2.0**-10, 2.0**-20
    form = diagonal(ns, n, times * CERTAIN * (noise * unit) ** 2)
    return null_space(ns, form, noise=ns.cast_numpy(np.array([*(0.0,) * (n - 1), noise * unit]))).dim == 0


def noise_of_two(ns: Any, n: int, times: float) -> bool:
    """A difference of two coordinates, which is noise or is not."""
    noise = 2.0**-6
    form = nearly_singular(ns, n, times * CERTAIN * noise**2)
    return null_space(ns, form, noise=ns.cast_numpy(np.array([noise, noise, *(0.0,) * (n - 2)]))).dim == 0


def default_noise(ns: Any, n: int, times: float) -> bool:
    """A coordinate of a matrix that came from somewhere, against the longest one."""
    noise = n * ns.epsilon
    return null_space(ns, diagonal(ns, n, times * CERTAIN * noise**2)).dim == 0


def clear(ns: Any, n: int, times: float) -> bool:
    form = np.zeros((n + 1, n + 1))
    # The largest eigenvalue is 2.
    form[:n, :n] = ns.to_numpy(nearly_singular(ns, n, times * CLEAR * 2 * (n + 1) * ns.epsilon))
    e = gk.VectorSpace("V", n + 1).frame("e")
    found = gk.DenseTensor.from_coordinates(ns.cast_numpy(form), e)
    assert found.nullity == 1
    return found.is_clear


def whitened_rank(ns: Any, n: int, times: float) -> bool:
    form = nearly_singular(ns, n, times * 2 * n * ns.epsilon)
    none, outward = ns.zeros((0, n)), np.eye(n)
    return not raised(DegenerateMetricError, lambda: root_of(form, none, outward, "symmetric", False, "it"))


def white(ns: Any, n: int, times: float) -> bool:
    return raised(ConditioningError, lambda: require_white(diagonal(ns, n, 1 + times * WHITE), None, np.eye(n), "it"))


def white_mean(ns: Any, n: int, times: float) -> bool:
    mean = ns.cast_numpy(np.array([*(0.0,) * (n - 1), -times * WHITE]))
    return raised(ConditioningError, lambda: require_white(ns.eye(n), mean, np.eye(n), "it"))


def _data(n: int) -> Any:
    """Data (N, n) of mean 0 and standard deviation 1."""
    return np.stack([np.array([-1.0, 1.0]) for _ in range(n)], axis=1)


def lost(ns: Any, n: int, times: float) -> bool:
    x, moved = ns.cast_numpy(_data(n)), _data(n)
    moved[:, -1] *= 1 + times * LOST
    frame: Any = SimpleNamespace(name="there")
    compared = lambda: list(_compared(ns, x, ns.cast_numpy(moved), x, ns.zeros((n,)), frame))  # noqa: E731
    return raised(ConditioningError, compared)


def unseen(ns: Any, n: int, times: float) -> bool:
    """A null direction that may be one of the data, which second moments do not see."""
    cut = (n + 1) * ns.epsilon
    e = gk.VectorSpace("V", n).frame("e")
    matrix, doubt = diagonal(ns, n, 0.0), Doubt(times * UNSEEN * cut * n / (n + 1), "one of the data.")
    found = gk.DenseTensor(e.space, e, matrix, ns, "it", doubt=doubt)
    return not raised(ConditioningError, lambda: found.nullity)


def constant(ns: Any, n: int, times: float) -> bool:
    """What varies by no more than eight roundings is constant, and may be lost."""
    noise = 2.0**-10
    x = ns.cast_numpy(_data(n) * (times * 8 * noise))
    frame: Any = SimpleNamespace(name="there")
    compared = lambda: list(_compared(ns, x, -x, x, ns.ones((n,)) * noise, frame))  # noqa: E731
    return raised(ConditioningError, compared)


def told(ns: Any, n: int, times: float) -> bool:
    """A smallest eigenvalue that is told from zero, so that there is a condition number."""
    return condition(diagonal(ns, n, times * n * ns.epsilon), 0) < float("inf")


def _spread(ns: Any, rows: Any) -> _Spread:
    return _Spread(ns, ns.cast_numpy(rows))


def far(ns: Any, n: int, times: float) -> bool:
    rows = _data(n)
    rows[:, -1] += times * ns.epsilon**-FAR
    return _spread(ns, rows).found(ns) is not None


def large_units(ns: Any, n: int, times: float) -> bool:
    return _spread(ns, _data(n) * times * ORDINARY).found(ns) is not None


def small_units(ns: Any, n: int, times: float) -> bool:
    return _spread(ns, _data(n) / times / ORDINARY).found(ns) is not None


def known(ns: Any, n: int, times: float) -> bool:
    noise = ns.cast_numpy(np.array([*(0.0,) * (n - 1), times * KNOWN]))
    return raised(ConditioningError, lambda: _spread(ns, _data(n)).require_known(ns, noise, 0))


DEGENERATE, REFERENCE = "metrics/tensors/degenerate.py", "networks/moments/reference.py"
ROUNDING, WHITENING = "spaces/samples/rounding.py", "spaces/whitening.py"

OF_RANKS = {
    "rank, by linear algebra": CutOff(DEGENERATE, linear_algebra, 1.5),
    "rank, by many sums": CutOff(DEGENERATE, sums, 1.5),
    "rank, by few sums": CutOff(DEGENERATE, few_sums, 1.5),
    "rank, by noise in a coordinate": CutOff(DEGENERATE, noise_of_one),
    "rank, by noise in a difference": CutOff(DEGENERATE, noise_of_two, 1.5),
    "rank, by noise of the longest coordinate": CutOff(DEGENERATE, default_noise),
    "clear-cut rank": CutOff("metrics/tensors/dense.py", clear),
    "rank of a covariance": CutOff(WHITENING, whitened_rank, 1.5),
    "white form": CutOff(WHITENING, white),
    "white mean": CutOff(WHITENING, white_mean),
    "data that come back": CutOff(ROUNDING, lost),
    "data that second moments see": CutOff("metrics/tensors/dense.py", unseen),
    "data that vary": CutOff(ROUNDING, constant),
    "an origin far from the data": CutOff(REFERENCE, far),
    "large units": CutOff(REFERENCE, large_units, 1.5),
    "small units": CutOff(REFERENCE, small_units, 1.5),
    "condition numbers that are printed": CutOff("cli/factors.py", told),
    "inputs that are known": CutOff(REFERENCE, known, 1.5),
}
