"""Verdicts, and what they rest on: discrepancies of twins against what round-off explains."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, final

from geomkfac.audit.groups import Double, Group
from geomkfac.audit.session import Session
from geomkfac.names import look_up

Verdict: TypeAlias = Literal["invariant", "first order", "broken", "inconclusive"]

SAFETY = 30.0
"""Round-off may exceed the measured floor times the square of a basis' condition number by this."""
OWN = 5.0
"""As `SAFETY`, for an optimizer's own arithmetic where that is shorter than its parameters'."""
LATER = 100.0
"""A discrepancy this many times round-off, after steps that began within it, is real."""
DROWNED = 0.1
"""Round-off of this size, relative to how far the function moved, decides nothing."""


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
    condition : number of the change of basis
    growth : of the discrepancy after one step from float64 to float32; about 1 where it is real
    slope : exponent of the discrepancy after one step in the learning rate; None where it is round-off
    exact : what exact arithmetic says: 'invariant' or 'broken'; empty where it was not asked
    hint : what repairs it, where something is known
    """

    group: str
    verdict: Verdict
    first: float
    last: float
    floor: float
    condition: float
    growth: float
    slope: float | None
    exact: str = ""
    hint: str = ""


@final
@dataclass(frozen=True, slots=True)
class AuditReport:
    """Findings for every group.

    Attributes
    ----------
    optimizer : its name
    network : the architecture of the network
    rate : learning rate
    steps : how many updates
    seed : of weights, data and bases
    networks : on how many; what is not called invariant has the numbers of the first one on which it was not
    how : in what way it was run, where that is not the plain one
    rounding : what the optimizer's own arithmetic rounds, relative to its first step, where that is shorter than its
        parameters'; 0 where it is not
    findings : one for each group
    left_out : groups that do not act here, and why
    """

    optimizer: str
    network: str
    rate: float
    steps: int
    seed: int
    networks: int
    how: str
    rounding: float
    findings: tuple[Finding, ...]
    left_out: dict[str, str]

    def finding(self, group: str) -> Finding:
        """What was found for a group, by its name."""
        return look_up("group", group, {finding.group: finding for finding in self.findings})

    def verdict(self, group: str) -> Verdict:
        """The verdict on a group, by its name."""
        return self.finding(group).verdict

    def to_json(self) -> dict[str, Any]:
        """Plain data; what is not finite as text."""
        plain: dict[str, Any] = _finite(asdict(self))
        return plain


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return str(data) if isinstance(data, float) and not math.isfinite(data) else data


def judged(session: Session, group: Group, double: Double) -> Finding:
    """The verdict on one member of a group, and why."""
    found = session.gaps(double, "float64", session.rate, session.steps)
    first, last = found[0], found[-1]
    power = double.condition**2
    plain = [SAFETY * floor * power for floor in session.floor()]
    allowed = [x + OWN * own * power for x, own in zip(plain, session.own_rounding(), strict=True)]
    growth = session.growth(double, first)
    slope = None
    verdict: Verdict
    if double.storage.curved:
        # No round-off of a change of basis to compare with, and no verdict but whether the gap vanishes.
        slope = session.slope(double, allowed[0], first)
        verdict = _by_slope(slope, first, allowed[0])
    elif first <= plain[0] and last <= plain[1] and max(plain) <= DROWNED:
        # Whatever its own rounding, none of it shows.
        verdict = "invariant"
    elif not all(map(math.isfinite, allowed)) or max(allowed) > DROWNED or math.isnan(first + last):
        verdict = "inconclusive"
    elif first <= allowed[0] and last <= allowed[1]:
        verdict = "invariant"
    elif not math.isfinite(first):
        verdict = "broken"
    else:
        slope = session.slope(double, allowed[0], first)
        # Where the first step is within round-off, and a later one is far beyond it, no slope is needed.
        verdict = "broken" if slope is None and last > LATER * allowed[1] else _by_slope(slope, first, allowed[0])
    return Finding(group.name, verdict, first, last, allowed[1], double.condition, growth, slope)


def _by_slope(slope: float | None, first: float, floor: float) -> Verdict:
    if slope is None:
        # The first step is within round-off, and a later one is not: nothing that a slope could tell.
        return "broken" if first > 10 * floor else "inconclusive"
    if slope < 0.3:
        return "broken"
    return "first order" if slope > 0.7 else "inconclusive"
