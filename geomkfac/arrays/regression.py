"""Measured exponents: the slope of a gap against a step, both on logarithmic axes, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from geomkfac.errors import ValuesError

CONFIDENCE = 0.99


@final
@dataclass(frozen=True, slots=True)
class Exponent:
    """A measured exponent.

    Attributes
    ----------
    value : the slope
    low, high : its confidence interval, at 99 %
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} (99 % interval {self.low:.3f} to {self.high:.3f})"


def fitted_exponent(runs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Exponent:
    """The exponent e of ``gap ~ c h^e``, c free for each run, by least squares of log gap on log h.

    Parameters
    ----------
    runs : pairs (steps h, gaps), all positive, two points or more each, more points than runs + 1 in all

    Raises
    ------
    ValuesError : a number that is not positive, or too few of them.

    Examples
    --------
    >>> exponent = fitted_exponent([([1.0, 0.5, 0.25, 0.125], [3.0, 0.75, 0.1875, 0.047])])
    >>> round(exponent.value, 2)
    2.0

    Notes
    -----
    Residuals are taken as independent and normal; curvature, where the limit has not been reached,
    counts among them and widens the interval.
    """
    from scipy import stats

    steps = [np.log(_positive(steps)) for steps, _ in runs]
    gaps = [np.log(_positive(gaps)) for _, gaps in runs]
    x = np.concatenate([values - values.mean() for values in steps])
    y = np.concatenate([values - values.mean() for values in gaps])
    freedom = len(x) - len(steps) - 1
    if freedom < 1 or min(map(len, steps)) < 2:
        raise ValuesError(
            "too few points for an exponent.\n  required: 2 or more for each run, and more than runs + 1 in all\n"
            f"  came    : {[len(values) for values in steps]}\nMeasure at more steps."
        )
    spread = float(x @ x)
    slope = float(x @ y) / spread
    residual = y - slope * x
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * (float(residual @ residual) / freedom / spread) ** 0.5
    return Exponent(slope, slope - half, slope + half)


def _positive(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if not np.all((array > 0) & np.isfinite(array)):
        raise ValuesError(
            "logarithms need positive numbers.\n  required: steps and gaps above 0\n"
            f"  came    : {[float(value) for value in array]}\nLeave out what has vanished altogether."
        )
    return array
