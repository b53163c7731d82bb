"""How a discrepancy depends on an option: near-invariance as an exponent, such as of a damping or of an epsilon."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from geomkfac.audit.auditing import audit
from geomkfac.audit.contestants.named import named, with_options
from geomkfac.audit.verdicts.report import AuditReport
from geomkfac.errors import ValuesError
from geomkfac.names import look_up
from geomkfac.required import shown

ABOVE = 10.0
"""A discrepancy counts where it is this many times what round-off explains."""


@final
@dataclass(frozen=True, slots=True)
class Variation:
    """Audits of one optimizer with several values of an option.

    Attributes
    ----------
    optimizer, option : names
    values : of the option, ascending
    reports : one for each value
    """

    optimizer: str
    option: str
    values: tuple[float, ...]
    reports: tuple[AuditReport, ...]

    def gaps(self, group: str) -> tuple[float, ...]:
        """Discrepancies after one step, value by value; 0 where they are within round-off."""
        findings = [report.finding(group) for report in self.reports]
        return tuple(one.first if one.first > ABOVE * one.floor else 0.0 for one in findings)

    def exponent(self, group: str) -> float | None:
        """The p with which the discrepancy is as ``value ** p``; None where fewer than two are above round-off.

        About 0 where the option has nothing to do with it; about 1 where the invariance is lost to first order in the
        option, and is there in the limit.
        """
        look_up("group", group, {finding.group: finding for finding in self.reports[0].findings})
        seen = [
            (value, gap)
            for value, gap in zip(self.values, self.gaps(group), strict=True)
            if gap > 0 and math.isfinite(gap)
        ]
        if len(seen) < 2:
            return None
        x, y = np.log([value for value, _ in seen]), np.log([gap for _, gap in seen])
        return float(np.polyfit(x, y, 1)[0])


def vary(
    optimizer: Any,
    option: str,
    values: Sequence[float],
    *,
    options: Mapping[str, Any] | None = None,
    finished: Callable[[], None] | None = None,
    **settings: Any,
) -> Variation:
    """Audit an optimizer with several values of an option.

    Parameters
    ----------
    optimizer : as for `audit`
    option : its name, such as ``"eps"`` or ``"damping"``
    values : positive numbers, two at least
    options : other options
    finished : called after each audit
    settings : as for `audit`

    Raises
    ------
    ValuesError : fewer than two values, or one that is not positive.
    UnauditableError : as for `audit`.
    """
    found = sorted({float(value) for value in values})
    if len(found) < 2 or not all(value > 0 and math.isfinite(value) for value in found):
        raise ValuesError(f"an exponent takes two positive values of {shown(option)} at least; came {list(values)}.")
    reports = []
    for value in found:
        made = with_options(optimizer, {**(options or {}), option: value})
        reports.append(audit(made, **settings))
        if finished is not None:
            finished()
    return Variation(named(optimizer), option, tuple(found), tuple(reports))
