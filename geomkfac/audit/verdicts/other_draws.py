"""Optimizers that draw random numbers: what another draw changes is no broken invariance."""

from __future__ import annotations

from dataclasses import replace

from geomkfac.audit.verdicts.discrepancies import Discrepancies
from geomkfac.audit.verdicts.report import Finding

SEEDS = (1, 2, 3)
"""Of other draws."""
ALIKE = 3.0
"""A discrepancy of at most this many times what other draws make says nothing of their distribution."""
SAME_DRAWS = "it draws random numbers, and another draw of them changes as much: only the same draws were compared"


def apart_by_draws(measured: Discrepancies) -> tuple[float, float]:
    """How far the functions part, after one and after all steps, where only the random numbers are others."""
    contestant, here = measured.contestant, measured.plain("float64", measured.rate, measured.steps)
    first = last = 0.0
    before = contestant.seed
    try:
        for seed in SEEDS:
            contestant.seed = seed
            other = Discrepancies(contestant, measured.problem, measured.rate, measured.steps)
            there = other.plain("float64", measured.rate, measured.steps)
            first, last = max(first, measured.gap(here[0], there[0])), max(last, measured.gap(here[-1], there[-1]))
    finally:
        contestant.seed = before
    return first, last


def weighed(finding: Finding, apart: tuple[float, float]) -> Finding:
    """A finding, undecided where other draws make as much of a discrepancy as the group does.

    With the same draws an invariant update is invariant whatever they are; one that is not may still be invariant in
    distribution, such as to a permutation of entries that are drawn in their order.
    """
    if finding.verdict not in ("broken", "first order") or apart == (0.0, 0.0):
        return finding
    if finding.first > ALIKE * apart[0] or finding.last > ALIKE * apart[1]:
        return finding
    return replace(finding, verdict="inconclusive", hint=SAME_DRAWS)
