"""What an audit reports: a finding for every group."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, final

from geomkfac.names import look_up

Verdict: TypeAlias = Literal["invariant", "first order", "broken", "inconclusive"]


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
        plain: dict[str, Any] = with_floats(asdict(self), lambda x: x if math.isfinite(x) else str(x))
        return plain


def with_floats(data: Any, change: Callable[[float], Any]) -> Any:
    """Plain data with all their floats changed, and lists for tuples."""
    if isinstance(data, dict):
        return {key: with_floats(value, change) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [with_floats(value, change) for value in data]
    return change(data) if isinstance(data, float) else data
