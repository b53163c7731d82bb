"""The catalogue as plain data, and its file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final, get_args

from geomkfac.audit.catalogues.entries import PACKAGES, Entry
from geomkfac.audit.verdicts.report import Verdict, with_floats
from geomkfac.errors import FileFormatError
from geomkfac.inputs import read_json
from geomkfac.outputs import write_text

FORMAT = 1
COLUMNS = ("verdict", "first", "last", "floor", "condition", "growth", "slope", "exact", "hint")
"""Of a finding, as they stand in a file."""
DIGITS = 3
"""Of numbers in a file."""


@final
@dataclass(eq=False)
class Catalogue:
    """Audits of many optimizers, as plain data.

    Attributes
    ----------
    steps, seed : of every audit
    versions : {distribution: version} of everything that is in it
    reports : {package: {name: document}}, as `AuditReport.to_json` makes them, to three digits
    unaudited : {package: {name: reason}}
    missing : {package: reason}, of packages that are not there
    device : of every audit
    """

    steps: int
    seed: int
    versions: dict[str, str]
    reports: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    unaudited: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    device: str = "cpu"

    def has(self, entry: Entry) -> bool:
        """Whether there is a result for this entry."""
        places = self.reports, self.unaudited
        return any(entry.name in place.get(entry.package, {}) for place in places)

    def keep(self, entry: Entry, result: Mapping[str, Any]) -> None:
        """Add what a worker found."""
        for place in (self.reports, self.unaudited):
            place.get(entry.package, {}).pop(entry.name, None)
        if "report" in result:
            # More digits change with a machine's libraries.
            short = with_floats(result["report"], lambda x: float(f"{x:.{DIGITS}g}"))
            self.reports.setdefault(entry.package, {})[entry.name] = short
        else:
            self.unaudited.setdefault(entry.package, {})[entry.name] = str(result["reason"])

    def named(self) -> dict[str, dict[str, Any]]:
        """{name: document}, with the package before names that come twice; package by package, and by name there."""
        names = [name for found in self.reports.values() for name in found]
        return {
            f"{package}.{name}" if names.count(name) > 1 else name: self.reports[package][name]
            for package in self.packages()
            for name in sorted(self.reports.get(package, {}), key=str.lower)
        }

    def packages(self) -> list[str]:
        """In the order of the catalogue: PyTorch's, the reference rules, others by name."""
        first = [*PACKAGES, "geomkfac.updates"]
        found = {*self.reports, *self.unaudited}
        return [name for name in first if name in found] + sorted(found - set(first))

    def to_json(self) -> dict[str, Any]:
        """Plain data: findings as rows of `COLUMNS`, by group."""
        reports = {}
        for package in self.packages():
            found = self.reports.get(package, {})
            reports[package] = {name: _packed(found[name]) for name in sorted(found, key=str.lower)}
        return {
            "format": FORMAT,
            "steps": self.steps,
            "seed": self.seed,
            "device": self.device,
            "versions": self.versions,
            "columns": list(COLUMNS),
            "reports": {package: found for package, found in reports.items() if found},
            "unaudited": {name: dict(sorted(found.items())) for name, found in self.unaudited.items() if found},
            "missing": self.missing,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Catalogue:
        """As `to_json` wrote it.

        Raises
        ------
        FileFormatError : it is something else, or of another format.
        """
        if not isinstance(data, Mapping) or data.get("format") != FORMAT or data.get("columns") != list(COLUMNS):
            came = data.get("format") if isinstance(data, Mapping) else type(data).__name__
            raise _no_catalogue(f"format {FORMAT}, with the columns {', '.join(COLUMNS)}", str(came)[:80])
        data = {"device": "cpu", **data}
        wrong = next(_unfit(data, _CATALOGUE), None)
        if wrong is not None:
            raise _no_catalogue("what a catalogue holds, as Catalogue.to_json makes it", wrong)
        reports = {
            package: {name: _unpacked(one) for name, one in found.items()} for package, found in data["reports"].items()
        }
        unaudited = {package: dict(found) for package, found in data["unaudited"].items()}
        return cls(
            data["steps"], data["seed"], dict(data["versions"]), reports, unaudited, dict(data["missing"]),
            data["device"],
        )  # fmt: skip

    @classmethod
    def read(cls, path: str | Path) -> Catalogue:
        """From a file.

        Raises
        ------
        FileFormatError : it is no JSON, or no catalogue.
        """
        return cls.from_json(read_json(path))

    def write(self, path: str | Path) -> None:
        """Into a file, which is never left half written: one line for every optimizer; raises FileFormatError."""
        write_text(path, _text(self.to_json()))


def _is_number(value: Any) -> bool:
    """Of a report: what is not finite is text."""
    if type(value) is int:
        return abs(value) < 2**53
    return isinstance(value, float) or value in ("inf", "-inf", "nan")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


_TEXTS = {None: _is_text}
_FINDING = [
    lambda value: value in get_args(Verdict), *[_is_number] * 5, lambda value: value is None or _is_number(value),
    lambda value: value in ("", "invariant", "broken"), _is_text,
]  # fmt: skip
_REPORT = {
    "optimizer": _is_text, "network": _is_text, "how": _is_text, "rate": _is_number, "rounding": _is_number,
    "steps": _is_count, "seed": _is_count, "networks": _is_count, "left_out": _TEXTS, "findings": {None: _FINDING},
}  # fmt: skip
_CATALOGUE = {
    "steps": _is_count, "seed": _is_count, "device": _is_text, "versions": _TEXTS, "missing": _TEXTS,
    "reports": {None: {None: _REPORT}}, "unaudited": {None: _TEXTS},
}  # fmt: skip
"""What plain data must be: a condition, a row of such, or names with what stands under them; None is any name."""


def _unfit(value: Any, form: Any, place: str = "it") -> Iterator[str]:
    """What in plain data has not its form: where, and what came."""
    if isinstance(form, dict):
        if not isinstance(value, Mapping) or (None not in form and not form.keys() <= value.keys()):
            yield f"{place} is no object" + ("" if None in form else f" with {', '.join(form)}")
            return
        for name in value if None in form else form:
            yield from _unfit(value[name], form.get(name, form.get(None)), str(name)[:80])
    elif isinstance(form, list):
        if not isinstance(value, list) or len(value) != len(form):
            yield f"{place} is no row of {len(form)}"
            return
        for one, condition in zip(value, form, strict=True):
            yield from _unfit(one, condition, place)
    elif not form(value):
        yield f"{place} holds {str(value)[:80]!r}"


def _no_catalogue(required: str, came: str) -> FileFormatError:
    return FileFormatError(
        f"this is no catalogue of this version of geomkfac.\n  required: {required}\n  came    : {came}\n"
        "Name another file, and the catalogue is made anew."
    )


def _packed(report: Mapping[str, Any]) -> dict[str, Any]:
    rows = {finding["group"]: [finding[column] for column in COLUMNS] for finding in report["findings"]}
    return {**report, "findings": rows}


def _unpacked(report: Mapping[str, Any]) -> dict[str, Any]:
    found = [
        {"group": group, **dict(zip(COLUMNS, row, strict=True))} for group, row in report["findings"].items()
    ]
    return {**report, "findings": found}


def _text(data: Mapping[str, Any]) -> str:
    """JSON with a line for every optimizer, so that changes of one show as such."""
    shallow = {key: value for key, value in data.items() if key not in ("reports", "unaudited")}
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in shallow.items()]
    for key in ("reports", "unaudited"):
        packages = []
        for package, found in data[key].items():
            rows = [f"   {json.dumps(name)}: {json.dumps(one, ensure_ascii=False)}" for name, one in found.items()]
            packages.append(f"  {json.dumps(package)}: {{\n" + ",\n".join(rows) + "\n  }")
        lines.append(f" {json.dumps(key)}: {{\n" + ",\n".join(packages) + "\n }")
    return "{\n" + ",\n".join(lines) + "\n}\n"
