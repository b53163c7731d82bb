"""One optimizer on one problem: discrepancies of twins, and the noise floor that they are measured against."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import numpy as np

from geomkfac.audit.groups import Double
from geomkfac.audit.problem import Problem, Twin
from geomkfac.audit.runs import Contestant, UnauditableError
from geomkfac.audit.storage import PLAIN, Arrays
from geomkfac.errors import DegenerateMetricError, GeomkfacError, SingularMatrixError, ValuesError

__all__ = ["DivergedError", "Session"]

TINY = 2.0**-1000
RATES = 10
"""How many learning rates are tried for a slope."""
DIVERGED = 10.0
"""A loss that grows by this factor is a run that diverges."""
SHORTER = ((2.0**-11, 2.0**-13, 2.0**-15), (2.0**-22, 2.0**-24, 2.0**-26))
"""Changes of the weights near the precision of arithmetic with 8 or 11 binary digits, and with 24; four times smaller
each, so that what is smooth falls by 16."""
SMOOTH = 13.0
"""A second difference that falls by this when the change is four times smaller is no rounding."""
SETTLED = 0.05
"""Two slopes that differ by less are one."""
LOST = (SingularMatrixError, DegenerateMetricError, ValuesError, FloatingPointError)
"""What a run ends with where it diverges, or its metric degenerates."""


class DivergedError(UnauditableError):
    """A run that diverges at the learning rate at hand."""


@final
class Session:
    """An optimizer on a problem.

    Parameters
    ----------
    runner : the optimizer
    problem : the problem
    rate, steps : of a run
    """

    def __init__(self, runner: Contestant, problem: Problem, rate: float, steps: int) -> None:
        self.runner, self.problem, self.rate, self.steps = runner, problem, rate, steps
        self._here = {dtype: Twin(problem, problem.iota, dtype) for dtype in ("float64", "float32")}
        self.start = self._here["float64"].predictions(self._here["float64"].start)
        self._plain: dict[tuple[str, float, int], list[Any]] = {}
        self._floor: tuple[float, float] | None = None
        self._own: tuple[float, float] | None = None

    def _predictions(
        self, twin: Twin, start: Arrays, rate: float, steps: int, double: Double | None = None
    ) -> list[Any]:
        """On the probes, after the first and the last step."""
        return [twin.predictions(one) for one in self._run(twin, start, rate, steps, double)]

    def _run(self, twin: Twin, start: Arrays, rate: float, steps: int, double: Double | None = None) -> list[Arrays]:
        """Weights after the first and the last step."""
        scale, storage = (1.0, PLAIN) if double is None else (double.loss_scale, double.storage)
        with quiet():
            runs = self.runner.run(twin, start, rate=rate, steps=steps, loss_scale=scale, storage=storage)
        return [runs[0], runs[-1]] if steps > 1 else [runs[0]]

    def plain(self, dtype: str, rate: float, steps: int) -> list[Any]:
        """Predictions of the problem itself after the first and the last step.

        Raises
        ------
        DivergedError : weights or the loss are no longer finite, or the loss is many times that of the beginning.
        UnauditableError : the optimizer cannot take these steps, such as where its metric degenerates.
        """
        key = (dtype, rate, steps)
        if key not in self._plain:
            twin = self._here[dtype]
            try:
                found = self._run(twin, twin.start, rate, steps)
                losses = [twin.loss_and_derivatives(one)[0] for one in (twin.start, found[-1])]
                self._plain[key] = [twin.predictions(one) for one in found]
            except UnauditableError:
                raise
            except LOST as error:
                reason = str(error).splitlines()[0]
                if "finite" in reason:
                    raise self._diverged(rate, steps, "its weights are not finite") from error
                raise UnauditableError(
                    f"{self.runner.name} cannot take {steps} steps at rate {rate:g} here: {reason}\n"
                    "Use a smaller rate, fewer steps, other widths or another seed."
                ) from error
            # Where predictions are saturated, all of them look alike.
            if not losses[1] <= DIVERGED * losses[0]:
                del self._plain[key]
                raise self._diverged(rate, steps, f"its loss goes from {losses[0]:.3g} to {losses[1]:.3g}")
        return self._plain[key]

    def _diverged(self, rate: float, steps: int, reason: str) -> DivergedError:
        advice = "Use a smaller rate." if self.runner.rate is not None or not self.runner.stores else "It has no rate."
        return DivergedError(
            f"{self.runner.name} diverges at rate {rate:g} within {steps} steps: {reason}.\n{advice}"
        )

    def check_repeatable(self) -> None:
        """Raise unless the same run gives the same numbers, and moves."""
        twin, once = self._here["float64"], self.plain("float64", self.rate, self.steps)
        again = self._predictions(twin, twin.start, self.rate, self.steps)
        if not all(np.array_equal(x, y, equal_nan=True) for x, y in zip(again, once, strict=True)):
            raise UnauditableError(f"{self.runner.name} is not deterministic: the same run gave other numbers.")
        if np.array_equal(once[-1], self.start):
            raise UnauditableError(
                f"{self.runner.name} does not move: after {self.steps} steps at rate {self.rate:g} the function is "
                "the same."
            )

    def gap(self, one: Any, other: Any) -> float:
        """Of two functions on the probes, relative to how far the first one moved."""
        moved = float(np.linalg.norm(one - self.start))
        return float(np.linalg.norm(one - other)) / max(moved, TINY)

    def floor(self) -> tuple[float, float]:
        """How far the functions part, after one and after all steps, where the weights' last digits are changed."""
        if self._floor is None:
            base = self.plain("float64", self.rate, self.steps)
            first, last, epsilon = 0.0, 0.0, float(np.finfo(float).eps)
            for repeat in range(3):
                found = self._jittered(repeat, epsilon, self.steps)
                first = max(first, self.gap(base[0], found[0]))
                last = max(last, self.gap(base[-1], found[-1]))
            self._floor = max(first, epsilon), max(last, epsilon)
        return self._floor

    def _jittered(self, repeat: int, size: float, steps: int) -> list[Any]:
        """Predictions where every weight is changed by its share `size`, up or down."""
        twin, rng = self._here["float64"], np.random.default_rng([7, repeat])
        start = [
            (W * (1 + size * rng.choice([-1.0, 1.0], W.shape)), b * (1 + size * rng.choice([-1.0, 1.0], b.shape)))
            for W, b in twin.start
        ]
        return self._predictions(twin, start, self.rate, steps)

    def own_rounding(self) -> tuple[float, float]:
        """What an optimizer loses in arithmetic shorter than its parameters', after one and all steps; 0 for none.

        A step that is computed in double precision is smooth in the weights: its second difference for a change of
        size h falls as h^2.  One that is rounded to fewer digits has second differences of the size of its rounding
        for every h near that, down to where nothing is rounded otherwise.
        """
        if self._own is None:
            self._own = 0.0, 0.0
            for coarse, middle, fine in SHORTER:
                smallest = self._second_difference(fine)
                if smallest <= 100 * self.floor()[0]:
                    continue
                between = self._second_difference(middle)
                if smallest <= between / SMOOTH or between <= self._second_difference(coarse) / SMOOTH:
                    continue
                level = max(smallest, between)
                last = self.plain("float64", self.rate, self.steps)[-1]
                later = (self.gap(last, self._jittered(repeat, fine, self.steps)[-1]) for repeat in range(3))
                self._own = max(level, self._own[0]), max(level, *later, self._own[1])
        return self._own

    def _second_difference(self, size: float) -> float:
        """The median over directions, relative to how far the function moved."""
        base, found = self.plain("float64", self.rate, self.steps)[0], []
        moved = max(float(np.linalg.norm(base - self.start)), TINY)
        for repeat in range(3):
            ahead, behind = (self._jittered(repeat, sign * size, 1)[0] for sign in (1, -1))
            found.append(float(np.linalg.norm(ahead + behind - 2 * base)) / moved)
        return float(np.median(found))

    def gaps(self, double: Double, dtype: str, rate: float, steps: int) -> list[float]:
        """Discrepancies after the first and the last step; infinite where the double alone cannot take them."""
        twin = Twin(self.problem, double.parameterization, dtype)
        plain = self.plain(dtype, rate, steps)
        try:
            there = self._predictions(twin, twin.start, rate, steps, double)
        except UnauditableError:
            raise
        except LOST:
            return [math.inf] * len(plain)
        return [self.gap(x, y) for x, y in zip(plain, there, strict=True)]

    def growth(self, double: Double, first: float) -> float:
        """Of the discrepancy after one step from float64 to float32; infinite where float32 cannot take the step."""
        try:
            return self.gaps(double, "float32", self.rate, 1)[0] / max(first, TINY)
        except GeomkfacError:
            return math.inf

    def slope(self, double: Double, floor: float, first: float | None = None) -> float | None:
        """The exponent of the discrepancy after one step in the learning rate; None where round-off is near.

        Of the two smallest of rates ``rate / 4^k``, where it has settled: large steps say nothing of small ones.
        `first` is the discrepancy at the rate itself, where it is known.
        """
        gaps: list[float] = []
        slopes: list[float] = []
        for k in range(RATES):
            gap = first if k == 0 and first is not None else self.gaps(double, "float64", self.rate / 4**k, 1)[0]
            # A step shorter by a factor has a floor higher by it.
            if not gap > 10 * floor * 4**k:
                break
            if gaps and math.isfinite(gap) and math.isfinite(gaps[-1]):
                slopes.append(math.log(gaps[-1] / gap) / math.log(4))
            gaps.append(gap)
            if len(slopes) > 1 and abs(slopes[-1] - slopes[-2]) < SETTLED:
                break
        return slopes[-1] if slopes else None


@contextmanager
def quiet() -> Iterator[None]:
    """Overflow of a run that diverges is not news: its numbers say so."""
    with np.errstate(all="ignore"):
        yield
