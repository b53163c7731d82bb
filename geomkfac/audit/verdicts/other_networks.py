"""What is invariant on one network is asked again on others, of other shapes and with louder losses.

A single network keeps by accident what it would take luck to keep twice: where a clamp is active for all entries of a
layer, or for none; or where an update treats wide matrices and tall ones differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from geomkfac.audit.verdicts.report import Finding

WIDTHS = ((2, 3, 3, 2), (3, 2, 4, 3), (4, 4, 2))
"""Of the networks: a layer that is wide in the first is tall in the second."""
MOST = len(WIDTHS)
LOUDNESS = ((1.0,), (300.0, 30.0, 1.0), (3000.0, 300.0, 30.0, 1.0))
"""Factors of their losses, of which the first is taken at which a run does not diverge: clipping, and thresholds for
gradients, are active in one network and not in another.  At factor 1, gradients are about 0.01."""


def refuted(findings: Sequence[Finding], others: Sequence[Finding]) -> list[Finding]:
    """The findings, with those of another network in the place of what that refutes or puts in doubt."""
    against = {one.group: one for one in others if _doubtful(one)}
    return [
        replace(against[one.group], exact=one.exact) if one.verdict == "invariant" and one.group in against else one
        for one in findings
    ]


def _doubtful(finding: Finding) -> bool:
    """Whether it says anything against an invariance: not one that merely drowns in round-off."""
    if finding.verdict == "inconclusive":
        return finding.last > finding.floor
    return finding.verdict != "invariant"
