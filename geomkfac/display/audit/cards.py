"""Parts that the pages of one audit and of many share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from geomkfac.display.audit.audited import Audited, Found
from geomkfac.display.audit.lattice import lattice_svg
from geomkfac.display.audit.marks import mark, plain
from geomkfac.display.audit.order import VERDICTS, Order, prefix

SYNONYMS = {"shift": "translation"}
"""Pre-activations are shifted where activations are translated: one row."""

GUIDE = (
    ("invariant", "The two functions differ by round-off, after the first step and after the last."),
    ("first order", "They differ, and the gap vanishes with the learning rate, relative to the step: the direction of "
     "the step is invariant, its finite size shows."),
    ("broken", "They differ, and smaller steps do not help."),
    ("inconclusive", "Round-off is too large to decide, or the slope lies between the two cases."),
    ("left out", "The group does not act here; the reason is given."),
)  # fmt: skip

NUMBERS = (
    ("discrepancy", "Distance of what the two networks predict on held-out inputs, after one step and after all, "
     "relative to how far they moved.  1 is as far as the steps themselves."),
    ("what round-off explains", "The discrepancy after the last step that round-off may cause: measured for this very "
     "optimizer, times the square of the condition number."),
    ("condition number", "Of the change of basis.  A large one amplifies round-off until nothing can be decided."),
    ("growth, float64 to float32", "How much larger the discrepancy after one step becomes in float32: about 1 where "
     "it is real, many powers of ten where it is round-off."),
    ("slope", "Exponent of the discrepancy after one step in the learning rate: about 1 for first order, about 0 for "
     "broken; not taken where there is only round-off."),
    ("exact arithmetic", "What the same rule does over a finite field, where nothing is rounded; for rational rules."),
    ("within, holds", "A group lies within those above it in the picture.  Invariance to a group implies invariance to "
     "all groups that it holds; a dashed line says that two larger ones imply it together."),
)  # fmt: skip


def icons() -> str:
    """The marks, once, for `icon` to refer to."""
    shapes = "".join(
        f'<symbol id="mark-{verdict.replace(" ", "-")}" viewBox="-14 -14 28 28">{mark(verdict)}</symbol>'
        for verdict in VERDICTS
    )
    return f'<svg class="lattice defs" width="0" height="0" aria-hidden="true">{shapes}</svg>'


def icon(verdict: str) -> str:
    """The mark of a verdict, beside words that say it."""
    return f'<svg class="lattice icon" aria-hidden="true"><use href="#mark-{verdict.replace(" ", "-")}"/></svg>'


def kinds(order: Order) -> tuple[list[str], dict[str, dict[str, str]], list[str]]:
    """Places, {kind of change: {place: group}}, and the groups that have no place."""
    rows: dict[str, dict[str, str]] = {}
    places: list[str] = []
    others: list[str] = []
    for panel in order.components():
        place = prefix(panel) if len(panel) > 1 else ""
        if not place or place in places:
            others += panel
            continue
        places.append(place)
        for name in panel:
            kind = name[len(place) :].strip()
            rows.setdefault(SYNONYMS.get(kind, kind), {})[place] = name
    return places, rows, others


def run_line(audited: Audited) -> str:
    """How it was run."""
    run = audited.run
    how = f"; {run['how']}" if run["how"] else ""
    return (
        f"{audited.name}, learning rate {run['learning rate']}, {run['steps']} steps, "
        f"a {run['network']} network, seed {run['seed']}{how}"
    )


def pictures(order: Order, verdicts: Mapping[str, Mapping[str, str]], ids: Mapping[str, str]) -> str:
    """The lattice twice, for wide and for narrow windows; one of them is shown."""
    alone = len(verdicts) == 1
    return "".join(
        f'<div class="{kind}">'
        + lattice_svg(order.above, verdicts, columns=columns, link=lambda name: "#" + ids[name], legend=alone)
        + "</div>"
        for kind, columns in (("wide", 2), ("narrow", 1))
    )


def related(order: Order) -> str:
    """Which groups imply a group, or are implied by it, by their numbers: for the script, which lights them up."""
    index = {name: number for number, name in enumerate(order.names)}
    above: dict[str, set[str]] = {}
    for name in order.descending:
        nearest = {one for alternative in order.above[name] for one in alternative}
        above[name] = nearest.union(*(above[one] for one in nearest)) if nearest else set()
    lists = [
        sorted(index[one] for one in order.names if one in above[name] or name in above[one]) for name in order.names
    ]
    return f'<script type="application/json" id="related">{lists}</script>'


def finding(found: Found, steps: str) -> str:
    """Everything that is known of one verdict."""
    head = f'<p class="verdict {found.verdict.replace(" ", "-")}">{icon(found.verdict)} {found.verdict}</p>'
    if found.reason:
        return f"{head}<p>{plain(found.reason)}</p>"
    rows = [
        ("discrepancy after 1 step", found.numbers["first"]),
        (f"after {steps} steps", found.numbers["last"]),
        ("what round-off explains", found.numbers["floor"]),
        ("condition number", found.numbers["condition"]),
        ("growth, float64 to float32", found.numbers["growth"]),
        ("slope in the learning rate", found.numbers["slope"] or "not taken"),
        ("exact arithmetic", found.exact or "not asked"),
    ]
    body = "".join(f"<dt>{plain(key)}</dt><dd>{plain(value)}</dd>" for key, value in rows)
    hint = f'<p class="hint"><b>Repair:</b> {plain(found.hint)}.</p>' if found.hint else ""
    example = f"<p><b>Counterexample, to type in:</b></p><pre>{plain(found.example)}</pre>" if found.example else ""
    return f'{head}<dl class="numbers">{body}</dl>{hint}{example}'


def hints(audited: Sequence[Audited], ids: Mapping[str, str]) -> str:
    """What is known to repair something, with the groups (and optimizers) of which it speaks."""
    return _gathered("What repairs it", "hint", audited, ids)


def left_out(audited: Sequence[Audited], ids: Mapping[str, str]) -> str:
    """Which groups were left out, and why."""
    return _gathered("Left out", "reason", audited, ids)


def _gathered(title: str, key: str, audited: Sequence[Audited], ids: Mapping[str, str]) -> str:
    texts: dict[str, dict[str, list[str]]] = {}
    for one in audited:
        for group, found in one.found.items():
            if text := str(getattr(found, key)):
                texts.setdefault(text, {}).setdefault(group, []).append(one.name)
    if not texts:
        return ""
    items = []
    for text, groups in texts.items():
        links = ", ".join(f'<a href="#{ids[group]}">{plain(group)}</a>' for group in groups)
        names = list(dict.fromkeys(name for found in groups.values() for name in found))
        whose = f"{len(names)} of {len(audited)} optimizers</summary>{plain(', '.join(names))}"
        folded = f"<details><summary>{whose}</details>" if len(audited) > 1 else ""
        items.append(f"<li>{links}: {plain(text)}.{folded}</li>")
    return f"<section><h2>{title}</h2><ul>{''.join(items)}</ul></section>\n"


def guide() -> str:
    """What verdicts and numbers mean."""
    verdicts = "".join(f"<dt>{icon(verdict)} {verdict}</dt><dd>{plain(text)}</dd>" for verdict, text in GUIDE)
    numbers = "".join(f"<dt>{plain(name)}</dt><dd>{plain(text)}</dd>" for name, text in NUMBERS)
    return f'<dl class="guide-list">{verdicts}{numbers}</dl>'
