"""The audits of many optimizers: a table to search and sort, profiles, and the groups with who keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from geomkfac.display.audit.audited import Audited
from geomkfac.display.audit.cards import guide, hints, icon, kinds, left_out, pictures, related, run_line
from geomkfac.display.audit.marks import SIGNS, plain
from geomkfac.display.audit.order import VERDICTS, Order
from geomkfac.display.audit.profiles import Profile, profiles, standing

MANY = 12
"""More names than these are folded."""
NUMBERS = ("first", "last", "floor", "condition", "growth", "slope")


def catalogue(audited: Sequence[Audited], order: Order, title: str, unaudited: Sequence[Mapping[str, str]]) -> str:
    """Body of the page."""
    ids = {name: f"group-{index}" for index, name in enumerate(order.names)}
    rows = {one.name: f"optimizer-{index}" for index, one in enumerate(audited)}
    verdicts = {one.name: one.verdicts for one in audited}
    classes = profiles(order, verdicts)
    return f"""<header>
<h1>{plain(title)}</h1>
<p class="summary"><strong>{len(audited)}</strong> optimizers · <strong>{len(order.names)}</strong> groups ·
<strong>{len(classes)}</strong> profiles · <strong>{len(unaudited)}</strong> could not be audited</p>
<p class="guide">A small network and its double in other bases, which computes the same function with other parameters,
were trained by each optimizer.  It is invariant to a group if the two stay the same function.</p>
{_form(audited, order)}
</header>
<main>
<div class="explore">
<div class="pictures">
<section><h2>Optimizers and groups</h2>
<p class="soft">{_legend()}
Choose a mark for its numbers, a heading to sort, a name for the optimizer; arrow keys move.</p>
<div class="scroll" tabindex="0" role="region" aria-label="table of verdicts">
{_table(audited, order, classes, rows)}</div></section>
<section><h2>The lattice of groups</h2>
<p class="soft">✓: how many optimizers are invariant.  A letter is a profile of those below; it stands at
the largest groups to which its optimizers are invariant.</p>
{pictures(order, verdicts, ids)}</section>
</div>
<aside id="panel" aria-live="polite" aria-label="what was measured" hidden></aside>
</div>
<section><h2>Profiles</h2>
{"".join(_profile(one, order, rows) for one in classes)}</section>
{_unaudited(unaudited)}{hints(audited, ids)}{left_out(audited, ids)}
<section><h2>How to read the numbers</h2>
{guide()}</section>
<section><h2>Groups</h2>
<details class="all"><summary>{len(order.names)} groups, and who is invariant to them</summary>
<div class="cards">
{"".join(_group(audited, order, classes, name, ids, rows) for name in order.names)}</div></details></section>
<section><h2>Optimizers</h2>
<details class="all"><summary>{len(audited)} optimizers, and how they were run</summary>
<div class="cards">
{"".join(_optimizer(one, order, classes, rows) for one in audited)}</div></details></section>
</main>
{related(order)}
<script type="application/json" id="data">{_data(audited, order)}</script>"""


def _form(audited: Sequence[Audited], order: Order) -> str:
    libraries = list(dict.fromkeys(_library(one.name) for one in audited))
    chips = "".join(
        f'<label class="chip"><input type="checkbox" name="library" value="{plain(one)}"> {plain(one)}</label>'
        for one in libraries if len(libraries) > 1 and one
    )  # fmt: skip
    groups = "".join(f'<option value="{index}">{plain(name)}</option>' for index, name in enumerate(order.names))
    verdicts = "".join(f'<option value="{index}">{name}</option>' for index, name in enumerate(VERDICTS))
    return f"""<form id="filter" role="search">
<div class="search"><label>Search
<input type="search" name="text" placeholder="words of a name" autocomplete="off"></label>
<label>whose <select name="group"><option value="">any group</option>{groups}</select></label>
<label>is <select name="verdict"><option value="">anything</option>{verdicts}</select></label></div>
<div class="chips">{chips}</div>
<p id="count" role="status">{len(audited)} optimizers</p>
</form>"""


def _library(name: str) -> str:
    return name.rpartition(":")[0]


def _short(name: str) -> str:
    """A name of which narrow windows leave out the library."""
    library, colon, own = name.rpartition(":")
    return f'<span class="library">{plain(library + colon)}</span>{plain(own)}'


def _legend() -> str:
    return " ".join(
        f'<span class="count"><b class="sign {verdict.replace(" ", "-")}">{SIGNS[verdict]}</b> {verdict}</span>'
        for verdict in VERDICTS
    )


def _table(audited: Sequence[Audited], order: Order, classes: Sequence[Profile], rows: Mapping[str, str]) -> str:
    places, found, others = kinds(order)
    columns = [(place, kind, row[place]) for place in places for kind, row in found.items() if place in row]
    columns += [("other", name, name) for name in others]
    index = {name: number for number, name in enumerate(order.names)}
    spans = {place: sum(one[0] == place for one in columns) for place in dict.fromkeys(one[0] for one in columns)}
    top = "".join(f'<th scope="colgroup" colspan="{span}">{plain(place)}</th>' for place, span in spans.items())
    firsts = {name for place in spans for name in [next(one[2] for one in columns if one[0] == place)]}
    heads = "".join(
        f'<th scope="col" class="turned{" edge" if name in firsts else ""}">'
        f'<button type="button" data-group="{index[name]}" title="{plain(name)}"><span>{plain(kind)}</span></button>'
        "</th>"
        for _, kind, name in columns
    )
    letters = {name: one.letter for one in classes for name in one.optimizers}
    lines = []
    for one in audited:
        cells = "".join(
            f'<td class="{found.verdict.replace(" ", "-")}{" edge" if name in firsts else ""}" '
            f'data-group="{index[name]}">{SIGNS[found.verdict]}</td>'
            for _, _, name in columns for found in [one.found[name]]
        )  # fmt: skip
        letter = letters[one.name]
        lines.append(
            f'<tr data-library="{plain(_library(one.name))}"><th scope="row"><a href="#{rows[one.name]}">'
            f'{_short(one.name)}</a></th><td class="letter"><a href="#profile-{letter}">{letter}</a></td>'
            f"{cells}</tr>\n"
        )
    return (
        '<table class="grid"><thead>\n<tr><td></td><td></td>' + top + "</tr>\n"
        '<tr><th scope="col"><button type="button" data-group="name">optimizer</button></th>'
        '<th scope="col"><button type="button" data-group="letter" title="profile">p.</button></th>'
        f"{heads}</tr></thead>\n<tbody>\n{''.join(lines)}</tbody></table>"
    )


def _names(names: Sequence[str], rows: Mapping[str, str]) -> str:
    return ", ".join(f'<a href="#{rows[name]}">{plain(name)}</a>' for name in names)


def _profile(one: Profile, order: Order, rows: Mapping[str, str]) -> str:
    return (
        f'<article class="profile" id="profile-{one.letter}"><h3>{one.letter} <span class="soft">'
        f"{len(one.optimizers)}: {plain(standing(order, one))}</span></h3>"
        f"<p>{_names(one.optimizers, rows)}</p></article>\n"
    )


def _group(
    audited: Sequence[Audited], order: Order, classes: Sequence[Profile], name: str,
    ids: Mapping[str, str], rows: Mapping[str, str],
) -> str:  # fmt: skip
    parts = []
    here = [one.letter for one in classes if name in one.largest]
    if here:
        letters = " ".join(f'<a href="#profile-{one}">{one}</a>' for one in here)
        parts.append(f"<p>Stand here: {letters}</p>")
    for number, verdict in enumerate(VERDICTS):
        names = [one.name for one in audited if one.found[name].verdict == verdict]
        if names:
            # The script makes a filter of these numbers.
            listed = f"<p>{_names(names, rows)}</p>"
            if len(names) > MANY:
                listed = f"<details><summary>their names</summary>{listed}</details>"
            parts.append(
                f'<div class="who" data-group="{order.names.index(name)}" data-verdict="{number}">'
                f"<p>{icon(verdict)} <b>{len(names)} {verdict}</b></p>{listed}</div>"
            )
    return f'<article class="card" id="{ids[name]}"><h3>{plain(name)}</h3>{"".join(parts)}</article>\n'


def _optimizer(one: Audited, order: Order, classes: Sequence[Profile], rows: Mapping[str, str]) -> str:
    profile = next(found for found in classes if one.name in found.optimizers)
    counts = ", ".join(
        f"{count} {verdict}" for verdict in VERDICTS if (count := sum(v == verdict for v in one.verdicts.values()))
    )
    odd = order.contradicted(one.verdicts)
    parts = [
        f"<p>{plain(run_line(one))}</p>",
        f'<p>{counts}; profile <a href="#profile-{profile.letter}">{profile.letter}</a>, '
        f"{plain(standing(order, profile))}</p>",
    ]
    if odd:
        parts.append(f'<p class="warning">At odds with larger groups: {plain(", ".join(odd))}</p>')
    if one.algebra:
        parts.append(f"<p>{plain(one.algebra)}</p>")
    for hint in dict.fromkeys(found.hint for found in one.found.values() if found.hint):
        groups = ", ".join(group for group, found in one.found.items() if found.hint == hint)
        parts.append(f'<p class="hint">{plain(groups)}: {plain(hint)}.</p>')
    return f'<article class="card" id="{rows[one.name]}"><h3>{plain(one.name)}</h3>{"".join(parts)}</article>\n'


def _unaudited(unaudited: Sequence[Mapping[str, str]]) -> str:
    if not unaudited:
        return ""
    items = "".join(f"<dt>{plain(one['name'])}</dt><dd>{plain(one['reason'])}</dd>" for one in unaudited)
    return f'<section id="unaudited"><h2>Could not be audited</h2><dl>{items}</dl></section>\n'


def _data(audited: Sequence[Audited], order: Order) -> str:
    """Numbers of every mark for the script; texts that recur, once."""
    texts: dict[str, int] = {"": 0}

    def numbered(text: str) -> int:
        return texts.setdefault(text, len(texts))

    found = [
        [
            [
                VERDICTS.index(one.verdict), *(one.numbers.get(key, "") for key in NUMBERS),
                *(numbered(text) for text in (one.exact, one.hint, one.example, one.reason)),
            ]
            for one in optimizer.found.values()
        ]
        for optimizer in audited
    ]  # fmt: skip
    document = {
        "groups": order.names,
        "verdicts": VERDICTS,
        "optimizers": [one.name for one in audited],
        "steps": [one.run["steps"] for one in audited],
        "found": found,
        "texts": list(texts),
    }
    # No text may end the element.
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
