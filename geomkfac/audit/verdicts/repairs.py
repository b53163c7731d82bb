"""What repairs a broken invariance, where the pattern of what is kept tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from geomkfac.audit.twins.groups import PLACES, contains
from geomkfac.audit.verdicts.report import Finding

JOINT = "linear changes are kept, translations are not: put weight and bias in one block (joint=True)"
DAMPING = (
    "orthogonal changes are kept and others nearly so, as with a small damping: damp by a metric that is carried along "
    "instead of by a multiple of the identity"
)
EPSILON = "a small gap under a change of scale: an epsilon, added to something that scales"
DECAY = (
    "the step depends on the weights' own values, as with a weight decay, which pulls to the zero of these "
    "coordinates, or with a norm of weights: pull to a point, such as the first weights, by a metric"
)

SMALL = 0.05
"""A gap below this is a perturbation of an invariance, and not its absence."""


def hinted(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings, with hints."""
    by_name = {finding.group: finding for finding in findings}
    return tuple(replace(finding, hint=_hint(finding, by_name)) for finding in findings)


def _kept(by_name: dict[str, Finding], *names: str) -> bool:
    return all(name in by_name and by_name[name].verdict == "invariant" for name in names)


def _lost(by_name: dict[str, Finding], *names: str) -> bool:
    return all(name in by_name and by_name[name].verdict == "broken" for name in names)


def _hint(finding: Finding, by_name: dict[str, Finding]) -> str:
    if finding.verdict != "broken":
        return ""
    place, _, action = finding.group.partition(" ")
    moving = contains(action, "translation") and _lost(by_name, f"{place} translation")
    if moving and _kept(by_name, f"{place} diagonal", f"{place} orthogonal"):
        return JOINT
    if finding.group == "loss scale" and finding.first < SMALL:
        return EPSILON
    if action == "shift" and finding.first < SMALL:
        return DECAY
    # One place alone may matter little to the function: a damping shows at all of them, and little at all of them.
    linear = [f"{at} {one}" for at in PLACES for one in ("scalar", "diagonal")]
    near = all(name in by_name and by_name[name].first < SMALL for name in linear)
    near = near and sum(_lost(by_name, name) for name in linear) >= len(PLACES)
    kept = _kept(by_name, *(f"{at} orthogonal" for at in PLACES))
    return DAMPING if place in PLACES and contains(action, "scalar") and near and kept else ""
