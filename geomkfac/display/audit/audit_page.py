"""The audit of one optimizer, or of many, as one HTML page: self-contained, no network, no library.

Every group is a link to what was measured, which stands on the page: it can be read, searched and printed without
the script, which shows it beside the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from geomkfac.display.audit.audited import Audited, Reports, checked_reports, entry
from geomkfac.display.audit.cards import (
    finding,
    guide,
    hints,
    icon,
    icons,
    kinds,
    left_out,
    pictures,
    related,
    run_line,
)
from geomkfac.display.audit.many import catalogue
from geomkfac.display.audit.marks import plain
from geomkfac.display.audit.order import VERDICTS, Above, Order
from geomkfac.version import __version__


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
    body = catalogue(audited, known, title, unaudited) if many else _single(audited[0], known, title)
    style, script = (
        resources.files("geomkfac.data").joinpath(name).read_text(encoding="utf-8")
        for name in ("audit.css", "audit.js")
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{plain(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f'<body class="{"many" if many else "one"}">\n{icons()}\n{body}\n'
        f'<footer class="soft">geomkfac {plain(__version__)}</footer>\n<script>\n{script}</script>\n</body>\n</html>\n'
    )


def _single(audited: Audited, order: Order, title: str) -> str:
    ids = {name: f"group-{index}" for index, name in enumerate(order.names)}
    return f"""<header>
<h1>{plain(title)}</h1>
<p class="summary">{_summary(audited)}</p>
<p class="soft">{plain(run_line(audited))}</p>
<p class="guide">A small network and its double in other bases, which computes the same function with other
parameters, were trained by this optimizer.  A number says how far the two functions differ after one step, relative
to how far they moved.  Choose a group to see everything that was measured.</p>
</header>
<main>
<div class="explore">
<div class="pictures">
<section><h2>Changes of basis</h2>
{_matrix(audited, order, ids)}</section>
<section><h2>The lattice of groups</h2>
{pictures(order, {audited.name: audited.verdicts}, ids)}</section>
</div>
<aside id="panel" aria-live="polite" aria-label="what was measured" hidden></aside>
</div>
{_contradictions(audited, order, ids)}{_algebra(audited)}{hints([audited], ids)}{left_out([audited], ids)}
<section><h2>How to read the numbers</h2>
{guide()}</section>
<section><h2>Everything that was measured</h2>
<details class="all"><summary>{len(order.names)} groups</summary>
<div class="cards">
{"".join(_card(audited, order, name, ids) for name in order.names)}</div></details></section>
</main>
{related(order)}"""


def _summary(audited: Audited) -> str:
    counts = [(verdict, sum(one == verdict for one in audited.verdicts.values())) for verdict in VERDICTS]
    return " ".join(
        f'<span class="count">{icon(verdict)} <strong>{count}</strong> {verdict}</span>'
        for verdict, count in counts
        if count
    )


def _matrix(audited: Audited, order: Order, ids: Mapping[str, str]) -> str:
    """Actions by places; then what has no place."""
    places, rows, others = kinds(order)
    parts = []
    if places:
        head = "".join(f'<th scope="col">{plain(place)}</th>' for place in places)
        lines = "".join(
            f'<tr><th scope="row">{plain(kind)}</th>'
            + "".join(_cell(audited, row[place], ids) if place in row else "<td></td>" for place in places)
            + "</tr>\n"
            for kind, row in rows.items()
        )
        parts.append(f'<table class="matrix"><thead><tr><td></td>{head}</tr></thead>\n<tbody>\n{lines}</tbody></table>')
    if others:
        lines = "".join(f'<tr><th scope="row">{plain(name)}</th>{_cell(audited, name, ids)}</tr>\n' for name in others)
        parts.append(
            '<table class="matrix others"><thead><tr><th colspan="2" scope="col">other changes</th></tr></thead>'
            f"<tbody>\n{lines}</tbody></table>"
        )
    return f'<div class="tables">{"".join(parts)}</div>'


def _cell(audited: Audited, name: str, ids: Mapping[str, str]) -> str:
    found = audited.found[name]
    shown = found.brief if found.verdict in ("first order", "broken") else ""
    return (
        f'<td class="{found.verdict.replace(" ", "-")}"><a href="#{ids[name]}" title="{plain(name)}: {found.verdict}">'
        f'{icon(found.verdict)}<span class="word">{found.verdict}</span> <span class="number">{plain(shown)}</span></a>'
        "</td>"
    )


def _card(audited: Audited, order: Order, name: str, ids: Mapping[str, str]) -> str:
    return (
        f'<article class="card" id="{ids[name]}"><h3>{plain(name)}</h3>\n'
        f"{finding(audited.found[name], audited.run['steps'])}{_relations(order, name, ids)}</article>\n"
    )


def _relations(order: Order, name: str, ids: Mapping[str, str]) -> str:
    """The next groups above and below, as links."""

    def linked(one: str) -> str:
        return f'<a href="#{ids[one]}">{plain(one)}</a>'

    above = [" with ".join(map(linked, alternative)) for alternative in order.above[name]]
    below = [linked(one) for one in order.names if any(name in alternative for alternative in order.above[one])]
    words = [f"Within: {'; '.join(above)}."] if above else []
    words += [f"Holds: {', '.join(below)}."] if below else []
    return "".join(f'<p class="soft">{one}</p>' for one in words)


_AT_ODDS = {("broken", "invariant"), ("invariant", "broken"), ("invariant", "first order")}
"""Exact arithmetic and a verdict; of 'first order' and 'broken' the second is what one exact update shows."""


def _contradictions(audited: Audited, order: Order, ids: Mapping[str, str]) -> str:
    """Verdicts of which one must be wrong."""
    words = [
        f'<a href="#{ids[name]}">{plain(name)}</a> is {audited.verdicts[name]}, though larger groups imply it'
        for name in order.contradicted(audited.verdicts)
    ] + [
        f'<a href="#{ids[name]}">{plain(name)}</a> is {one.verdict}, and {one.exact} in exact arithmetic'
        for name, one in audited.found.items()
        if (one.exact, one.verdict) in _AT_ODDS
    ]
    if not words:
        return ""
    items = "".join(f"<li>{one}.</li>" for one in words)
    return f'<section class="warning"><h2>At odds</h2><ul>{items}</ul></section>\n'


def _algebra(audited: Audited) -> str:
    return f"<section><h2>Lie algebra</h2><p>{plain(audited.algebra)}</p></section>\n" if audited.algebra else ""
