"""Reports of audits as plain data, checked before they are shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

from geomkfac.display.audit.order import Order, checked_verdicts, counted
from geomkfac.errors import UnknownNameError, ValuesError

Reports: TypeAlias = Mapping[str, Mapping[str, Any]] | Sequence[Mapping[str, Any]]
"""Documents as `AuditReport.to_json` makes them; under names of their own where optimizers share one."""

NOT_FINITE = {"inf": "∞", "-inf": "-∞", "nan": "not a number"}
"""How JSON has them, and how they are shown."""
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_NUMBERS = ("first", "last", "floor", "condition", "growth")


@final
@dataclass(frozen=True, slots=True)
class Found:
    """One verdict, with everything in words.

    Attributes
    ----------
    verdict : one of `VERDICTS`
    numbers : {'first': ..., 'last', 'floor', 'condition', 'growth', 'slope'}; empty where it was left out
    brief : the discrepancy after one step in two digits
    exact, hint, example : empty where there is none
    reason : why it was left out
    """

    verdict: str
    numbers: Mapping[str, str]
    brief: str = ""
    exact: str = ""
    hint: str = ""
    example: str = ""
    reason: str = ""


@final
@dataclass(frozen=True, slots=True)
class Audited:
    """One optimizer and what was found for every group, in the order's order.

    Attributes
    ----------
    name : under which it is shown
    run : {'learning rate': ..., 'steps', 'network', 'seed', 'how'}
    found : {group: Found}
    algebra : a sentence on the Lie algebra; empty where it was not asked
    """

    name: str
    run: Mapping[str, str]
    found: Mapping[str, Found]
    algebra: str

    @property
    def verdicts(self) -> dict[str, str]:
        """{group: verdict}."""
        return {group: one.verdict for group, one in self.found.items()}

    @property
    def counts(self) -> dict[str, int]:
        """{verdict: how many groups have it}."""
        return counted(self.verdicts.values())


def checked_reports(
    reports: Reports,
    order: Order,
    counterexamples: Mapping[str, Mapping[str, Any]] | None,
    algebra: Mapping[str, Mapping[str, Any]] | None,
) -> tuple[Audited, ...]:
    """Every report, checked.

    Raises
    ------
    ValuesError : no report, two of one name, a group that was not audited, a value that cannot be.
    UnknownNameError : a group or an optimizer that is not known.
    """
    if not reports:
        raise ValuesError("a page of audits needs at least one report; none came.")
    named = _named(reports)
    for kind, extra in (("counterexamples", counterexamples), ("Lie algebra", algebra)):
        strange = [name for name in extra or {} if name not in named]
        if strange:
            raise UnknownNameError(
                f"{kind} came for {strange[0]!r}, of which there is no report.\n  reports: {', '.join(named)}"
            )
    return tuple(
        _audited(name, report, order, (counterexamples or {}).get(name), (algebra or {}).get(name))
        for name, report in named.items()
    )


def _named(reports: Reports) -> dict[str, Mapping[str, Any]]:
    if isinstance(reports, Mapping):
        return {str(name): report for name, report in reports.items()}
    found: dict[str, Mapping[str, Any]] = {}
    for report in reports:
        name = str(entry(report, "optimizer", "a report"))
        if name in found:
            raise ValuesError(f"two reports are of {name!r}.\nPass a mapping {{name: report}}, with names that differ.")
        found[name] = report
    return found


def entry(document: Any, key: str, what: str) -> Any:
    """What a document holds under a key, or an error that names both."""
    if not isinstance(document, Mapping) or key not in document:
        came = ", ".join(map(str, document)) if isinstance(document, Mapping) else type(document).__name__
        raise ValuesError(
            f"{what} has no {key!r}.\n  required: a document as AuditReport.to_json() makes it\n  came    : {came}"
        )
    return document[key]


def _audited(name: str, report: Any, order: Order, examples: Any, algebra: Any) -> Audited:
    what = f"the report of {name!r}"
    left_out = entry(report, "left_out", what)
    examples = report.get("counterexamples", {}) if examples is None else examples
    algebra = report.get("lie_algebra") if algebra is None else algebra
    found: dict[str, Found] = {str(group): Found("left out", {}, reason=str(why)) for group, why in left_out.items()}
    for finding in entry(report, "findings", what):
        group = str(entry(finding, "group", f"a finding in {what}"))
        if group in found:
            raise ValuesError(f"{what} has two entries for {group!r}.")
        found[group] = _finding(finding, f"the finding on {group!r} in {what}", str(examples.get(group, "")))
    strange = [group for group in examples if str(group) not in found]
    if strange:
        raise UnknownNameError(f"{what} has a counterexample for {strange[0]!r}, a group that it does not audit.")
    checked = checked_verdicts(order, {name: {group: one.verdict for group, one in found.items()}})[name]
    run = {
        "learning rate": amount(entry(report, "rate", what), what),
        "steps": str(entry(report, "steps", what)),
        "network": str(entry(report, "network", what)),
        "seed": str(entry(report, "seed", what)),
        "how": str(report.get("how", "")),
    }
    return Audited(name, run, {group: found[group] for group in checked}, _algebra(algebra, what))


def _finding(finding: Any, what: str, example: str) -> Found:
    numbers = {key: amount(entry(finding, key, what), what) for key in _NUMBERS}
    slope = entry(finding, "slope", what)
    numbers["slope"] = "" if slope is None else _slope(slope, what)
    verdict, exact = str(entry(finding, "verdict", what)), str(finding.get("exact", ""))
    if exact not in ("", "invariant", "broken"):
        raise ValuesError(f"{what} says {exact!r} of exact arithmetic.\n  required: 'invariant', 'broken' or ''")
    return Found(verdict, numbers, amount(finding["first"], what, 2), exact, str(finding.get("hint", "")), example)


def _slope(value: Any, what: str) -> str:
    shown = amount(value, what)
    # An exponent of which two decimals mean something; without a zero that has a sign.
    return f"{value:.2f}".replace("-0.00", "0.00") if isinstance(value, int | float) and math.isfinite(value) else shown


def _algebra(found: Any, what: str) -> str:
    if found is None:
        return ""
    held = ", ".join(map(str, entry(found, "holds", f"the Lie algebra in {what}"))) or "none of these groups"
    dimension, of = (entry(found, key, f"the Lie algebra in {what}") for key in ("dimension", "of"))
    if found.get("at_most", dimension) != dimension:
        dimension = f"{dimension} to {found['at_most']}"
    return f"Infinitesimal symmetries of the first update: dimension {dimension} of {of}; they hold {held}."


def amount(value: Any, what: str = "a report", digits: int = 3) -> str:
    """A number of few digits, for people; 'inf', '-inf' and 'nan' are as JSON has them.

    Raises
    ------
    ValuesError : it is no number.
    """
    if isinstance(value, str) and value in NOT_FINITE:
        return NOT_FINITE[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValuesError(f"{what} has {value!r} where a number is required (or 'inf', '-inf', 'nan').")
    if not math.isfinite(value):
        return NOT_FINITE[str(float(value))]
    if value == 0 or 0.001 <= abs(value) < 9999.5:
        return f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:.0f}"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa.removesuffix('.0')}·10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
