"""The audit: what is an optimizer invariant to?  Trajectories of twin networks, and verdicts with their reasons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias, final

import numpy as np

from geomkfac.audit.problem import GROUPS, Bases, Problem, Transformation, draw_bases, identity_bases
from geomkfac.audit.runs import Contestant, TorchContestant, UnauditableError, contestant
from geomkfac.errors import DegenerateMetricError, GeomkfacError, SingularMatrixError, ValuesError
from geomkfac.names import look_up

__all__ = ["AuditReport", "Finding", "audit"]

Verdict: TypeAlias = Literal["invariant", "first order", "broken", "inconclusive"]

SAFETY = 30.0
"""Round-off may exceed the measured floor times the square of a basis' condition number by this."""
JOINT = "linear changes are kept, translations are not: put weight and bias in one block (joint=True)"
LATER = 1000.0
"""A discrepancy this many times round-off, after steps that began within it, is real."""
RULE_RATE = 0.01
"""The learning rate of rules, which have no default."""
TINY = 2.0**-1000


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """What was found for one group.

    Attributes
    ----------
    group : its name
    verdict : 'invariant', 'first order' (the gap vanishes with the step size), 'broken' or 'inconclusive'
    first, last : discrepancy of the two functions after the first and the last step, relative to how far they moved
    floor : what round-off explains, after the last step
    growth : of the discrepancy after one step from float64 to float32; about 1 where it is real
    slope : exponent of the discrepancy after one step in the learning rate; None where it is round-off
    hint : what repairs it, where something is known
    """

    group: str
    verdict: Verdict
    first: float
    last: float
    floor: float
    growth: float
    slope: float | None
    hint: str


@final
@dataclass(frozen=True, slots=True)
class AuditReport:
    """Findings for every group.

    Attributes
    ----------
    optimizer : its name
    rate : learning rate
    steps : how many updates
    how : in what way it was run, where that is not the plain one
    findings : one for each group
    """

    optimizer: str
    rate: float
    steps: int
    how: str
    findings: tuple[Finding, ...]

    def verdict(self, group: str) -> Verdict:
        """The verdict on a group, by its name."""
        return look_up("group", group, {finding.group: finding.verdict for finding in self.findings})

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def audit(
    optimizer: Any,
    *,
    groups: Sequence[str] | None = None,
    rate: float | None = None,
    steps: int = 10,
    widths: Sequence[int] = (2, 3, 3, 2),
    data: int = 60,
    seed: int = 0,
) -> AuditReport:
    """What an optimizer is invariant to: it trains a network, and its double in other bases, and they are compared.

    The two networks compute the same function, in other coordinates of activations and pre-activations.  After
    one step and after `steps`, what they predict on held-out inputs is compared, relative to how far they moved.
    Round-off is told from a difference by a floor measured for this very optimizer (its own weights changed in
    the last digit, times the square of the condition number), and by repeating in float32.

    Parameters
    ----------
    optimizer : class or function that takes parameters and ``lr=`` (any of `torch.optim`), or a rule of
        `geomkfac.updates`
    groups : names of groups; None for all
    rate : learning rate; None for the optimizer's default
    steps : how many updates; at least 2, as one may look invariant by accident
    widths : of the network, inputs first
    data : N
    seed : of weights, data and bases

    Raises
    ------
    UnauditableError : it cannot be run on plain parameters, or does not do the same twice.
    UnknownNameError, ValuesError
    """
    if steps < 2:
        raise ValuesError(f"an audit takes 2 steps or more, not {steps}: one step may look invariant by accident.")
    known = {group.name: group for group in GROUPS}
    chosen = GROUPS if groups is None else tuple(look_up("group", name, known) for name in groups)
    runner = contestant(optimizer, rate)
    own = runner.rate if isinstance(runner, TorchContestant) else RULE_RATE if rate is None else rate
    session = _Session(runner, Problem.random(tuple(widths), data, seed), own, steps)
    session.check_repeatable()
    rng = np.random.default_rng([seed, 1])
    findings = [session.finding(group, draw_bases(tuple(widths), group, rng)) for group in chosen]
    return AuditReport(runner.name, own, steps, runner.how, _with_hints(findings))


def _with_hints(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """What repairs an update, where the pattern of what it keeps tells."""
    kept = {finding.group for finding in findings if finding.verdict == "invariant"}
    linear = {"activation scalar", "activation diagonal", "activation orthogonal"}
    split = linear <= kept and "activation translation" not in kept
    return tuple(
        replace(one, hint=JOINT) if split and one.group == "activation translation" and one.verdict == "broken" else one
        for one in findings
    )


class _Session:
    """One optimizer on one problem."""

    def __init__(self, runner: Contestant, problem: Problem, rate: float, steps: int) -> None:
        self.runner, self.problem, self.rate, self.steps = runner, problem, rate, steps
        self.here = identity_bases(problem.widths)
        self.start = problem.probabilities(problem.weights, self.here)
        self._plain: dict[tuple[str, float, int], list[Any]] = {}
        self._floor: tuple[float, float] | None = None

    def predictions(
        self, weights: Sequence[Any], inputs: Any, bases: Bases, dtype: str, rate: float, steps: int, scale: float
    ) -> list[Any]:
        """On the probes, after each step."""
        runs = self.runner.run(
            self.problem, weights, inputs, bases, dtype=dtype, rate=rate, steps=steps, loss_scale=scale
        )
        return [self.problem.probabilities(one, bases) for one in runs]

    def plain(self, dtype: str, rate: float, steps: int) -> list[Any]:
        """The problem itself."""
        key = (dtype, rate, steps)
        if key not in self._plain:
            problem = self.problem
            try:
                self._plain[key] = self.predictions(problem.weights, problem.inputs, self.here, dtype, rate, steps, 1.0)
            except (SingularMatrixError, DegenerateMetricError) as error:
                reason = str(error).splitlines()[0]
                raise UnauditableError(
                    f"{self.runner.name} cannot take {steps} steps at rate {rate:g} here: {reason}\n"
                    "Its metric degenerates on the way.  Use a smaller rate, fewer steps or another seed."
                ) from error
        return self._plain[key]

    def check_repeatable(self) -> None:
        """Raise unless the same run gives the same numbers."""
        problem, once = self.problem, self.plain("float64", self.rate, self.steps)
        again = self.predictions(problem.weights, problem.inputs, self.here, "float64", self.rate, self.steps, 1.0)
        if not all(np.array_equal(x, y, equal_nan=True) for x, y in zip(again, once, strict=True)):
            raise UnauditableError(f"{self.runner.name} is not deterministic: the same run gave other numbers.")

    def _gap(self, one: Any, other: Any) -> float:
        moved = float(np.linalg.norm(one - self.start))
        return float(np.linalg.norm(one - other)) / max(moved, TINY)

    def floor(self) -> tuple[float, float]:
        """How far the functions part, after one and after all steps, where the weights' last digits are changed."""
        if self._floor is None:
            base = self.plain("float64", self.rate, self.steps)
            first, last = 0.0, 0.0
            for repeat in range(3):
                rng = np.random.default_rng([7, repeat])
                epsilon = np.finfo(float).eps
                jittered = [W * (1 + epsilon * rng.choice([-1.0, 1.0], W.shape)) for W in self.problem.weights]
                found = self.predictions(
                    jittered, self.problem.inputs, self.here, "float64", self.rate, self.steps, 1.0
                )
                first = max(first, self._gap(base[0], found[0]))
                last = max(last, self._gap(base[-1], found[-1]))
            least = np.finfo(float).eps
            self._floor = max(first, least), max(last, least)
        return self._floor

    def gaps(self, group: Transformation, bases: Bases, dtype: str, rate: float, steps: int) -> list[float]:
        """Discrepancies after each step."""
        weights, inputs = self.problem.double(bases)
        there = self.predictions(weights, inputs, bases, dtype, rate, steps, group.loss_scale)
        return [self._gap(x, y) for x, y in zip(self.plain(dtype, rate, steps), there, strict=True)]

    def finding(self, group: Transformation, bases: Bases) -> Finding:
        """The verdict on one group, and why."""
        try:
            found = self.gaps(group, bases, "float64", self.rate, self.steps)
        except (SingularMatrixError, DegenerateMetricError):
            # The double's metric degenerates where the network's does not: no discrepancy to speak of.
            found = [math.inf]
        first, last = found[0], found[-1]
        allowed = tuple(SAFETY * part * bases.condition**2 for part in self.floor())
        growth = self.growth(group, bases, first)
        slope = None
        verdict: Verdict
        if not all(map(math.isfinite, (first, last, *allowed))) or max(allowed) > 0.1:
            verdict = "inconclusive"
        elif first <= allowed[0] and last <= allowed[1]:
            verdict = "invariant"
        else:
            slope = self.slope(group, bases, allowed[0])
            # Where the first step is within round-off, and a later one is far beyond it, no slope is needed.
            verdict = "broken" if slope is None and last > LATER * allowed[1] else _by_slope(slope, first, allowed[0])
        return Finding(group.name, verdict, first, last, allowed[1], growth, slope, "")

    def growth(self, group: Transformation, bases: Bases, first: float) -> float:
        """Of the discrepancy after one step from float64 to float32; infinite where float32 cannot take the step."""
        try:
            return self.gaps(group, bases, "float32", self.rate, 1)[0] / max(first, TINY)
        except GeomkfacError:
            return math.inf

    def slope(self, group: Transformation, bases: Bases, floor: float) -> float | None:
        """The exponent of the discrepancy after one step in the learning rate; None where round-off is near."""
        rates = [self.rate / 4**k for k in range(4)]
        gaps = [self.gaps(group, bases, "float64", rate, 1)[0] for rate in rates]
        # A step shorter by a factor has a floor higher by it.
        kept = [(r, g) for k, (r, g) in enumerate(zip(rates, gaps, strict=True)) if g > 10 * floor * 4**k]
        if len(kept) < 2:
            return None
        x, y = np.log([r for r, _ in kept]), np.log([g for _, g in kept])
        return float(np.polyfit(x, y, 1)[0])


def _by_slope(slope: float | None, first: float, floor: float) -> Verdict:
    if slope is None:
        # The first step is within round-off, and a later one is not: nothing that a slope could tell.
        return "broken" if first > 10 * floor else "inconclusive"
    if slope < 0.3:
        return "broken"
    return "first order" if slope > 0.7 else "inconclusive"
