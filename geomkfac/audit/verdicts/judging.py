"""Where a verdict is decided: the discrepancies of twins, against what round-off explains."""

from __future__ import annotations

import math

from geomkfac.audit.twins.double import Double
from geomkfac.audit.twins.groups import Group
from geomkfac.audit.verdicts.discrepancies import Discrepancies
from geomkfac.audit.verdicts.report import Finding, Verdict

SAFETY = 30.0
"""Round-off may exceed the measured floor times the square of a basis' condition number by this."""
OWN = 5.0
"""As `SAFETY`, for an optimizer's own arithmetic where that is shorter than its parameters'."""
LATER = 100.0
"""A discrepancy this many times round-off, after steps that began within it, is real."""
DROWNED = 0.1
"""Round-off of this size, relative to how far the function moved, decides nothing."""


def judged(measured: Discrepancies, group: Group, double: Double) -> Finding:
    """The verdict on one member of a group, and why."""
    found = measured.gaps(double, "float64", measured.rate, measured.steps)
    first, last = found[0], found[-1]
    power = double.condition**2
    plain = [SAFETY * floor * power for floor in measured.floor]
    allowed = [x + OWN * own * power for x, own in zip(plain, measured.own_rounding, strict=True)]
    growth = measured.growth(double, first)
    slope = None
    verdict: Verdict
    if double.storage.curved:
        # No round-off of a change of basis to compare with, and no verdict but whether the gap vanishes.
        slope = measured.slope(double, allowed[0], first)
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
        slope = measured.slope(double, allowed[0], first)
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
