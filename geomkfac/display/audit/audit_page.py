"""The audit of one optimizer, or of many, as one HTML page: self-contained, no network, no library.

Every group is a link to what was measured, which stands on the page: it can be read, searched and printed without
the script, which shows it beside the picture.  The pages are the templates ``audit.html.jinja`` and
``catalogue.html.jinja``; here is what they show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, final

from geomkfac.display.audit.checked_reports import Audited, Reports, checked_reports, entry
from geomkfac.display.audit.lattice import lattice_svg
from geomkfac.display.audit.order import VERDICTS, Above, Order
from geomkfac.display.audit.profiles import profiles, standing
from geomkfac.display.templates import rendered
from geomkfac.version import __version__

SYNONYMS = {"shift": "translation"}
"""Pre-activations are shifted where activations are translated: one row."""

_NUMBERS = ("first", "last", "floor", "condition", "growth", "slope")
_AT_ODDS = {("broken", "invariant"), ("invariant", "broken"), ("invariant", "first order")}
"""Exact arithmetic and a verdict; of 'first order' and 'broken' the second is what one exact update shows."""


def audit_page(
    reports: Reports,
    order: Above,
    *,
    title: str,
    counterexamples: Mapping[str, Mapping[str, Any]] | None = None,
    algebra: Mapping[str, Mapping[str, Any]] | None = None,
    unaudited: Sequence[Mapping[str, str]] = (),
) -> str:
    """The page, as text: of one optimizer if there is one report, else a catalogue.

    Parameters
    ----------
    reports : documents as `AuditReport.to_json` makes them, or {name: document}; what ``geomkfac audit --json`` adds
        (``counterexamples``, ``lie_algebra``) is shown too
    order : {group: alternatives}, as `geomkfac.audit.subgroups()` gives it; every report speaks of all its groups
    title : of the page
    counterexamples : {optimizer: {group: text}}
    algebra : {optimizer: {'dimension': ..., 'of': ..., 'holds': names of groups}}
    unaudited : ``{'name': ..., 'reason': ...}`` for each optimizer that could not be audited

    Raises
    ------
    ValuesError, UnknownNameError : something is missing, unknown or contradicts itself; the message names it.
    """
    known = Order.of(order)
    audited = checked_reports(reports, known, counterexamples, algebra)
    for one in unaudited:
        for key in ("name", "reason"):
            entry(one, key, "an optimizer that could not be audited")
    many = len(audited) > 1 or bool(unaudited)
    return rendered(
        "catalogue.html.jinja" if many else "audit.html.jinja",
        title=title,
        version=__version__,
        audited=audited,
        unaudited=unaudited,
        order=known,
        verdicts=VERDICTS,
        **_groups(known, audited),
        **(_of_many(known, audited) if many else _of_one(known, audited[0])),
    )


@final
@dataclass(frozen=True, slots=True)
class _Note:
    """A text that recurs, with the groups and optimizers of which it speaks."""

    text: str
    groups: Sequence[str]
    optimizers: Sequence[str]


def _groups(order: Order, audited: Sequence[Audited]) -> dict[str, Any]:
    """What both pages have: addresses of groups, the lattice, and texts on groups."""
    ids = {name: f"group-{index}" for index, name in enumerate(order.names)}
    verdicts = {one.name: one.verdicts for one in audited}
    larger = {name: order.larger(name) for name in order.names}
    return {
        "ids": ids,
        "pictures": {
            kind: lattice_svg(
                order.above, verdicts, columns=columns, link=lambda name: f"#{ids[name]}", legend=len(audited) == 1
            )
            for kind, columns in (("wide", 2), ("narrow", 1))
        },
        # Groups that imply a group or are implied by it, by number: the script lights them up.
        "related": [
            [number for number, other in enumerate(order.names) if other in larger[name] or name in larger[other]]
            for name in order.names
        ],
        "hints": _gathered(audited, "hint"),
        "left_out": _gathered(audited, "reason"),
    }


def _gathered(audited: Sequence[Audited], key: str) -> list[_Note]:
    """What was found under a key, each text once."""
    texts: dict[str, dict[str, list[str]]] = {}
    for one in audited:
        for group, found in one.found.items():
            if text := getattr(found, key):
                texts.setdefault(text, {}).setdefault(group, []).append(one.name)
    return [
        _Note(text, list(groups), list(dict.fromkeys(chain.from_iterable(groups.values()))))
        for text, groups in texts.items()
    ]


def _kinds(order: Order) -> dict[str, dict[str, str]]:
    """{kind of change: {place: group}}: the groups that have a place, in a table."""
    rows: dict[str, dict[str, str]] = {}
    for place, kinds in order.places().items():
        for name, kind in kinds.items():
            rows.setdefault(SYNONYMS.get(kind, kind), {})[place] = name
    return rows


def _others(order: Order) -> list[str]:
    """Groups that have no place."""
    placed = set(chain.from_iterable(order.places().values()))
    return [name for component in order.components() for name in component if name not in placed]


def _of_one(order: Order, audited: Audited) -> dict[str, Any]:
    """What the page of one audit has besides."""
    odd = [(name, f"{audited.verdicts[name]}, though larger groups imply it")
           for name in order.contradicted(audited.verdicts)]  # fmt: skip
    odd += [
        (name, f"{one.verdict}, and {one.exact} in exact arithmetic")
        for name, one in audited.found.items()
        if (one.exact, one.verdict) in _AT_ODDS
    ]
    return {"places": list(order.places()), "kinds": _kinds(order), "others": _others(order), "at_odds": odd}


def _of_many(order: Order, audited: Sequence[Audited]) -> dict[str, Any]:
    """What the page of many audits has besides."""
    kinds = _kinds(order).items()
    columns = {place: {row[place]: kind for kind, row in kinds if place in row} for place in order.places()}
    if others := _others(order):
        columns["other"] = {name: name for name in others}
    classes = profiles(order, {one.name: one.verdicts for one in audited})
    return {
        "columns": columns,
        "profiles": classes,
        "standing": {one.letter: standing(order, one) for one in classes},
        "profile_of": {name: one for one in classes for name in one.optimizers},
        "letters": {name: [one.letter for one in classes if name in one.largest] for name in order.names},
        "rows": {one.name: f"optimizer-{index}" for index, one in enumerate(audited)},
        "libraries": {one.name: one.name.rpartition(":")[0] for one in audited},
        "who": {
            name: {verdict: [one.name for one in audited if one.verdicts[name] == verdict] for verdict in VERDICTS}
            for name in order.names
        },
        "repairs": {one.name: _gathered([one], "hint") for one in audited},
        "contradicted": {one.name: order.contradicted(one.verdicts) for one in audited},
        "data": _data(order, audited),
    }


def _data(order: Order, audited: Sequence[Audited]) -> dict[str, Any]:
    """Numbers of every mark for the script; texts that recur, once."""
    texts: dict[str, int] = {"": 0}
    found = [
        [
            [
                VERDICTS.index(one.verdict),
                *(one.numbers.get(key, "") for key in _NUMBERS),
                *(texts.setdefault(text, len(texts)) for text in (one.exact, one.hint, one.example, one.reason)),
            ]
            for one in optimizer.found.values()
        ]
        for optimizer in audited
    ]
    return {
        "groups": order.names,
        "verdicts": VERDICTS,
        "optimizers": [one.name for one in audited],
        "steps": [one.run["steps"] for one in audited],
        "found": found,
        "texts": list(texts),
    }
