"""One optimizer on one problem: discrepancies of twins, and the noise floor that they are measured against."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, final

import numpy as np

from geomkfac.audit.contestants.contestant import Contestant, UnauditableError
from geomkfac.audit.contestants.contestant import flat as flat_entries
from geomkfac.audit.groups import Double
from geomkfac.audit.problem import Problem, Twin, random_problem
from geomkfac.audit.storage import PLAIN, Arrays
from geomkfac.errors import DegenerateMetricError, GeomkfacError, SingularMatrixError, ValuesError
from geomkfac.metrics import Bernoulli, Gaussian

TINY = 2.0**-1000
RATES = 10
"""How many learning rates are tried for a slope."""
DIVERGED = 10.0
"""A loss that grows by this factor is a run that diverges."""
LADDER = tuple(2.0**-k for k in range(7, 28, 2))
"""Changes of the weights, from the precision of arithmetic with 8 binary digits to that with 24; each is a quarter of
the one before."""
SMOOTH = 6.0
"""What is smooth falls by 16 from one to the next; what falls by less than this, twice, is rounding."""
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
        return self._predictions(self._here["float64"], self._moved(repeat, size), self.rate, steps)

    def _moved(self, repeat: int, size: float) -> Arrays:
        """The first weights, each changed by its share `size`, up or down."""
        rng = np.random.default_rng([7, repeat])
        return [
            (W * (1 + size * rng.choice([-1.0, 1.0], W.shape)), b * (1 + size * rng.choice([-1.0, 1.0], b.shape)))
            for W, b in self._here["float64"].start
        ]

    def own_rounding(self) -> tuple[float, float]:
        """What an optimizer loses in arithmetic shorter than its parameters', after one and all steps; 0 for none.

        A step that is computed in double precision is smooth in the weights: its second difference for a change of
        size h falls as h^2.  One that is rounded to fewer digits has second differences of the size of its rounding
        for every h near that, down to where nothing is rounded otherwise; in most of its entries, and not in those
        few that jump, such as signs.
        """
        if self._own is None and any(unit.activation == "relu" for unit in self.problem.units):
            # Gradients jump where units of the network do; the optimizer's arithmetic is the same elsewhere.
            self._own = self._smooth().own_rounding()
        if self._own is None:
            own: Iterable[float] = (0.0, 0.0)
            grain = self._grain()
            seconds = [self._entries_second_difference(size) for size in LADDER]
            flat = [fine > max(coarse / SMOOTH, grain) for coarse, fine in pairwise(seconds)]
            for rung in (k for k, both in enumerate(pairwise(flat), start=1) if all(both)):
                found = [self._second_difference(LADDER[rung], repeat) for repeat in range(3)]
                level = (float(np.max([one[part] for one in found])) for part in (0, 1))
                own = (max(pair) for pair in zip(own, level, strict=True))
            first, last = own
            self._own = first, last
        return self._own

    def _smooth(self) -> Session:
        """The same optimizer on a network of smooth units."""
        family = Gaussian() if self.runner.squares else Bernoulli()
        return Session(self.runner, random_problem(family=family), self.rate, self.steps)

    def _grain(self) -> float:
        """What rounding in double precision makes of second differences, relative to the step."""
        twin = self._here["float64"]
        (after,) = self._run(twin, twin.start, self.rate, 1)
        before = flat_entries(twin.start)
        step = float(np.sqrt(np.mean((flat_entries(after) - before) ** 2)))
        return 100 * float(np.finfo(float).eps) * float(np.abs(before).max()) / max(step, TINY)

    def _entries_second_difference(self, size: float) -> float:
        """The upper quartile over the entries of one step, relative to its root mean square; the median of three."""
        twin, found = self._here["float64"], []
        (after,) = self._run(twin, twin.start, self.rate, 1)
        base = flat_entries(after)
        step = float(np.sqrt(np.mean((base - flat_entries(twin.start)) ** 2)))
        for repeat in range(3):
            ahead, behind = (
                flat_entries(self._run(twin, self._moved(repeat, sign * size), self.rate, 1)[0]) for sign in (1, -1)
            )
            found.append(float(np.quantile(np.abs(ahead + behind - 2 * base), 0.75)) / max(step, TINY))
        return float(np.median(found))

    def _second_difference(self, size: float, repeat: int) -> tuple[float, float]:
        """Of the function after one and after all steps, relative to how far it moved."""
        twin, base = self._here["float64"], self.plain("float64", self.rate, self.steps)
        ahead, behind = (
            self._predictions(twin, self._moved(repeat, sign * size), self.rate, self.steps) for sign in (1, -1)
        )
        first, last = (
            float(np.linalg.norm(x + y - 2 * z)) / max(float(np.linalg.norm(z - self.start)), TINY)
            for x, y, z in zip(ahead, behind, base, strict=True)
        )
        return first, last

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
