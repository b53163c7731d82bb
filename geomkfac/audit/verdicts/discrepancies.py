"""One optimizer on one problem: discrepancies of twins, and the noise floor that they are measured against.

Twins are trained here: the network itself, the same changed in its last digits, its doubles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any, final

import numpy as np

from geomkfac.audit.contestants.contestant import Contestant, UnauditableError
from geomkfac.audit.contestants.contestant import flat as flat_entries
from geomkfac.audit.twins.double import Double
from geomkfac.audit.twins.problem import Problem, random_problem
from geomkfac.audit.twins.storage import Arrays
from geomkfac.audit.twins.twin import Twin
from geomkfac.errors import DegenerateMetricError, GeomkfacError, SingularMatrixError, ValuesError

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
class Discrepancies:
    """Between what an optimizer makes of a network, and of others that should stay the same function.

    Parameters
    ----------
    contestant : the optimizer
    problem : the problem
    rate, steps : of a run
    """

    def __init__(self, contestant: Contestant, problem: Problem, rate: float, steps: int) -> None:
        self.contestant, self.problem, self.rate, self.steps = contestant, problem, rate, steps
        self._itself = {dtype: Twin(problem, problem.iota, dtype) for dtype in ("float64", "float32")}
        self.start = self._itself["float64"].predictions(self._itself["float64"].start)
        self._plain: dict[tuple[str, float, int], list[Any]] = {}

    def _predictions(self, twin: Twin, start: Arrays, rate: float, steps: int) -> list[Any]:
        """On the probes, after the first and the last step."""
        return [twin.predictions(one) for one in self._trained(twin, start, rate, steps)]

    def _trained(self, twin: Twin, start: Arrays, rate: float, steps: int) -> list[Arrays]:
        """Weights after the first and the last step."""
        with quiet():
            weights = self.contestant.run(twin, start, rate=rate, steps=steps)
        return [weights[0], weights[-1]] if steps > 1 else [weights[0]]

    def plain(self, dtype: str, rate: float, steps: int) -> list[Any]:
        """Predictions of the problem itself after the first and the last step.

        Raises
        ------
        DivergedError : weights or the loss are no longer finite, or the loss is many times that of the beginning.
        UnauditableError : the optimizer cannot take these steps, such as where its metric degenerates.
        """
        key = (dtype, rate, steps)
        if key not in self._plain:
            twin = self._itself[dtype]
            try:
                found = self._trained(twin, twin.start, rate, steps)
                losses = [twin.loss_and_derivatives(one)[0] for one in (twin.start, found[-1])]
                self._plain[key] = [twin.predictions(one) for one in found]
            except UnauditableError:
                raise
            except LOST as error:
                reason = str(error).splitlines()[0]
                if "finite" in reason:
                    raise self._diverged(rate, steps, "its weights are not finite") from error
                raise UnauditableError(
                    f"{self.contestant.name} cannot take {steps} steps at rate {rate:g} here: {reason}\n"
                    "Use a smaller rate, fewer steps, other widths or another seed."
                ) from error
            # Where predictions are saturated, all of them look alike.
            if not losses[1] <= DIVERGED * losses[0]:
                del self._plain[key]
                raise self._diverged(rate, steps, f"its loss goes from {losses[0]:.3g} to {losses[1]:.3g}")
        return self._plain[key]

    def _diverged(self, rate: float, steps: int, reason: str) -> DivergedError:
        contestant = self.contestant
        advice = "Use a smaller rate." if contestant.rate is not None or not contestant.stores else "It has no rate."
        return DivergedError(f"{contestant.name} diverges at rate {rate:g} within {steps} steps: {reason}.\n{advice}")

    def check_repeatable(self) -> None:
        """Raise unless the same run gives the same numbers, and moves."""
        once, again = self.plain("float64", self.rate, self.steps), self._from(self._itself["float64"].start)
        if not all(np.array_equal(x, y, equal_nan=True) for x, y in zip(again, once, strict=True)):
            raise UnauditableError(f"{self.contestant.name} is not deterministic: the same run gave other numbers.")
        if np.array_equal(once[-1], self.start):
            raise UnauditableError(
                f"{self.contestant.name} does not move: after {self.steps} steps at rate {self.rate:g} the function is "
                "the same."
            )

    def gap(self, one: Any, other: Any) -> float:
        """Of two functions on the probes, relative to how far the first one moved."""
        moved = float(np.linalg.norm(one - self.start))
        return float(np.linalg.norm(one - other)) / max(moved, TINY)

    @cached_property
    def floor(self) -> tuple[float, float]:
        """How far the functions part, after one and after all steps, where the weights' last digits are changed."""
        base, epsilon = self.plain("float64", self.rate, self.steps), float(np.finfo(float).eps)
        first = last = epsilon
        for repeat in range(3):
            found = self._from(self._moved(repeat, epsilon))
            first, last = max(first, self.gap(base[0], found[0])), max(last, self.gap(base[-1], found[-1]))
        return first, last

    def _from(self, start: Arrays) -> list[Any]:
        """Predictions of the network itself with other first weights."""
        return self._predictions(self._itself["float64"], start, self.rate, self.steps)

    def _moved(self, repeat: int, size: float) -> Arrays:
        """The first weights, each changed by its share `size`, up or down."""
        rng = np.random.default_rng([7, repeat])
        return [
            (W * (1 + size * rng.choice([-1.0, 1.0], W.shape)), b * (1 + size * rng.choice([-1.0, 1.0], b.shape)))
            for W, b in self._itself["float64"].start
        ]

    @cached_property
    def own_rounding(self) -> tuple[float, float]:
        """What an optimizer loses in arithmetic shorter than its parameters', after one and all steps; 0 for none.

        A step that is computed in double precision is smooth in the weights: its second difference for a change of
        size h falls as h^2.  One that is rounded to fewer digits has second differences of the size of its rounding
        for every h near that, down to where nothing is rounded otherwise; in most of its entries, and not in those
        few that jump, such as signs.
        """
        if any(unit.activation == "relu" for unit in self.problem.units):
            # Gradients jump where units of the network do; the optimizer's arithmetic is the same elsewhere.
            return self._smooth().own_rounding
        start = self._itself["float64"].start
        after, before = self._entries_after(start), flat_entries(start)
        step = max(float(np.sqrt(np.mean((after - before) ** 2))), TINY)
        # What rounding in double precision makes of second differences.
        grain = 100 * float(np.finfo(float).eps) * float(np.abs(before).max()) / step
        seconds = [self._entries_second_difference(size, after) / step for size in LADDER]
        flat = [fine > max(coarse / SMOOTH, grain) for coarse, fine in pairwise(seconds)]
        rungs = [k for k, both in enumerate(pairwise(flat), start=1) if all(both)]
        if not rungs:
            return 0.0, 0.0
        # The finest: what is left of the step's own curvature is least there.
        level = np.max([self._second_difference(LADDER[rungs[-1]], repeat) for repeat in range(3)], axis=0)
        return max(0.0, float(level[0])), max(0.0, float(level[1]))

    def _smooth(self) -> Discrepancies:
        """The same optimizer on a network of smooth units."""
        problem = replace(random_problem(family=self.contestant.family), loudness=self.problem.loudness)
        return Discrepancies(self.contestant, problem, self.rate, self.steps)

    def _entries_after(self, start: Arrays) -> Any:
        """Of all weights, after one step of the network itself."""
        return flat_entries(self._trained(self._itself["float64"], start, self.rate, 1)[0])

    def _entries_second_difference(self, size: float, base: Any) -> float:
        """The upper quartile over the entries of one step, which leads to `base`; the median of three."""
        found = []
        for repeat in range(3):
            ahead, behind = (self._entries_after(self._moved(repeat, sign * size)) for sign in (1, -1))
            found.append(float(np.quantile(np.abs(ahead + behind - 2 * base), 0.75)))
        return float(np.median(found))

    def _second_difference(self, size: float, repeat: int) -> tuple[float, float]:
        """Of the function after one and after all steps, relative to how far it moved."""
        base = self.plain("float64", self.rate, self.steps)
        ahead, behind = (self._from(self._moved(repeat, sign * size)) for sign in (1, -1))
        first, last = (
            float(np.linalg.norm(x + y - 2 * z)) / max(float(np.linalg.norm(z - self.start)), TINY)
            for x, y, z in zip(ahead, behind, base, strict=True)
        )
        return first, last

    def gaps(self, double: Double, dtype: str, rate: float, steps: int) -> list[float]:
        """Discrepancies after the first and the last step; infinite where the double alone cannot take them."""
        twin, plain = double.twin(self.problem, dtype), self.plain(dtype, rate, steps)
        try:
            there = self._predictions(twin, twin.start, rate, steps)
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
