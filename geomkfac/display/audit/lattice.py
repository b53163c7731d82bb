"""The groups from small to large as a picture, with the verdicts on one optimizer, or with many optimizers on it.

An SVG of its own: no library draws it, it refers to nothing outside itself, and it follows the reader's light or
dark colours.  A verdict is a colour, a shape and a mark, each of which suffices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, final

from geomkfac.display.audit.marks import (
    COLOURS,
    INK,
    LINE,
    SIGNS,
    SOFT,
    dark_style,
    label,
    mark,
    plain,
    spaced,
    wrapped,
)
from geomkfac.display.audit.order import VERDICTS, Above, Order, Verdicts, checked_verdicts, prefix
from geomkfac.display.audit.profiles import Profile, profiles, standing
from geomkfac.errors import ValuesError

Link: TypeAlias = Callable[[str], str]

SLOT, LEVEL, PANEL, GAP, HEAD = 76.0, 70.0, 388.0, 16.0, 34.0
"""Widths and heights, in CSS pixels: of a node's place, a level, a panel, between panels, a panel's title."""
RADIUS, BAR = 11.0, 58.0


def draw_lattice(order: Above, verdicts: Mapping[str, Verdicts], path: str | Path, *, title: str = "") -> None:
    """Write the picture that `lattice_svg` makes as an SVG file, for documents.

    Parameters
    ----------
    order, verdicts, title : as for `lattice_svg`
    path : where it is written; its suffix must be .svg

    Raises
    ------
    ValuesError, UnknownNameError
    """
    target = Path(path)
    if target.suffix != ".svg":
        raise ValuesError(f"the picture of the lattice is an SVG file, not {target.suffix or 'one without a suffix'}: "
                          f"write it to {target.with_suffix('.svg').name!r}.")  # fmt: skip
    target.write_text(lattice_svg(order, verdicts, title=title), encoding="utf-8")


def lattice_svg(
    order: Above,
    verdicts: Mapping[str, Verdicts],
    *,
    title: str = "",
    columns: int = 2,
    link: Link | None = None,
    legend: bool = True,
) -> str:
    """The order between groups, larger ones above smaller ones, as one SVG element.

    For one optimizer, every group has the mark of its verdict.  For many, every group says how many are invariant
    to it, and where each optimizer stands: at the largest groups to which it is invariant.  Optimizers that stand
    at the same groups are one profile, a letter.

    Parameters
    ----------
    order : {group: alternatives}, as `geomkfac.audit.subgroups()` gives it; each alternative is a tuple of groups
        whose joint invariance implies this one's
    verdicts : {optimizer: {group: 'invariant', 'first order', 'broken', 'inconclusive' or 'left out'}}
    title : for readers that do not see the picture
    columns : how many panels stand side by side; with one, relations of a group to two together are words, not lines
    link : the address of a group, for pages where groups can be clicked; None for a figure
    legend : whether marks (and profiles) are explained below the picture

    Raises
    ------
    ValuesError : a verdict that is none of these or is missing, an order with a circle, fewer columns than one.
    UnknownNameError : a group that is not in the order.
    """
    if columns < 1:
        raise ValuesError(f"a picture has one column or more, not {columns}.")
    known = Order.of(order)
    found = checked_verdicts(known, verdicts)
    heading = title or ("the groups, and the verdicts on " + next(iter(found)) if len(found) == 1 else
                        f"the groups, and where {len(found)} optimizers stand")  # fmt: skip
    classes = profiles(known, found) if len(found) > 1 else ()
    letters = {name: spaced([one.letter for one in classes if name in one.largest], 10) for name in known.names}
    layout = _placed(known, columns, letters if classes else {})
    parts = [*layout.titles, *(_line(layout, *edge, bool(classes)) for edge in layout.edges)]
    for name, spot in layout.spots.items():
        drawn = _crowd(found, name, spot) if classes else mark(next(iter(found.values()))[name], spot.x, spot.y, RADIUS)
        parts.append(_node(name, spot, drawn, link, _said(found, name)))
    height = layout.height
    if legend:
        words, height = _legend(known, classes, found, layout.width, height)
        parts.append(words)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lattice" viewBox="0 0 {layout.width:g} {height:g}" '
        f'width="{layout.width:g}" height="{height:g}" role="{"group" if link else "img"}" '
        f'aria-label="{plain(heading)}" font-family="system-ui, sans-serif" font-size="11.5">'
        f"<title>{plain(heading)}</title><style>{dark_style()}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


@final
@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a group stands, the lines of its name, what is said of it in small print, and letters of profiles."""

    x: float
    y: float
    lines: tuple[str, ...]
    small: tuple[str, ...] = ()
    letters: str = ""

    @property
    def top(self) -> float:
        return self.y - RADIUS

    @property
    def bottom(self) -> float:
        return self.y + RADIUS + 4 + 13 * (len(self.lines) + len(self.small) + bool(self.letters))


@final
@dataclass(slots=True)
class _Layout:
    panel: float
    columns: int
    height: float
    spots: dict[str, _Spot]
    edges: list[tuple[str, str, bool]]
    titles: list[str]
    gutters: dict[str, tuple[float, float, float]]
    """Left and right of a group, the middles of free space between its neighbours; and where its panel ends."""

    @property
    def width(self) -> float:
        return self.columns * self.panel + (self.columns - 1) * GAP


def _placed(order: Order, columns: int, letters: Mapping[str, str]) -> _Layout:
    """Panels of related groups in rows, those of which a joint relation speaks last; then what stands alone."""
    components = order.components()
    panels = [one for one in components if len(one) > 1]
    alone = [one[0] for one in components if len(one) == 1]
    joint = {one for name in order.names for alternative in order.joints(name) for one in alternative}
    if columns > 1:
        panels.sort(key=lambda panel: not joint.isdisjoint(panel))
    columns = max(1, min(columns, len(panels)))
    wide = max((SLOT * _leaves(order, panel) + 8 for panel in panels), default=PANEL)
    layout = _Layout(max(PANEL, wide), columns, 0.0, {}, [], [], {})
    for start in range(0, len(panels), columns):
        tallest = 0.0
        for index, panel in enumerate(panels[start : start + columns]):
            left = index * (layout.panel + GAP)
            tallest = max(tallest, _panel(layout, order, panel, left, layout.height, letters))
        for index in range(len(panels[start : start + columns])):
            layout.titles.insert(0, _frame(index * (layout.panel + GAP), layout.height, layout.panel, tallest))
        layout.height += tallest + GAP
    both = [name for name in alone if order.joints(name)]
    _row(layout, order, both, "of two places together", columns > 1, letters)
    _row(layout, order, [name for name in alone if name not in both], "unrelated to these", columns > 1, letters)
    layout.edges += [
        (one, name, True)
        for name in order.names if columns > 1
        for alternative in order.joints(name) for one in alternative
    ]  # fmt: skip
    return layout


def _panel(
    layout: _Layout,
    order: Order,
    panel: tuple[str, ...],
    left: float,
    top: float,
    letters: Mapping[str, str],
) -> float:
    """Place one component, a tree of the first parents, and return its height."""
    common = prefix(panel)
    depth: dict[str, int] = {}
    for name in order.descending:
        if name in panel:
            depth[name] = max((depth[parent] + 1 for parent in order.parents(name)), default=0)
    children = _children(order, panel)
    slots: dict[str, float] = {}

    def place(name: str) -> None:
        for child in sorted(children[name], key=lambda one: not children[one]):
            place(child)
        below = [slots[child] for child in children[name]]
        slots[name] = (min(below) + max(below)) / 2 if below else float(sum(1 for one in slots if not children[one]))

    for name in panel:
        if not order.parents(name):
            place(name)
    count = _leaves(order, panel)
    slot = min(SLOT * 1.3, (layout.panel - 8) / count)
    margin = (layout.panel - slot * count) / 2
    words = {name: wrapped(name[len(common) :].strip(), slot) for name in panel}
    level = max(LEVEL + 16 * bool(letters), 2 * RADIUS + 36 + 13 * max(map(len, words.values())))
    for name in panel:
        x, y = left + margin + slot * (slots[name] + 0.5), top + HEAD + RADIUS + 4 + level * depth[name]
        layout.spots[name] = _Spot(x, y, words[name], (), letters.get(name, ""))
        layout.edges += [(parent, name, False) for parent in order.parents(name)]
    layout.titles.append(label(left + 12, top + 20, common or panel[0], INK, weight=600, anchor="start", size=13))
    end = max(layout.spots[name].bottom for name in panel)
    for name in panel:
        # Slots begin at whole numbers; a node in the middle of two is left by the far sides of both.
        first, last = math.floor(slots[name] + 1e-9), math.ceil(slots[name] - 1e-9)
        layout.gutters[name] = left + margin + slot * first, left + margin + slot * (last + 1), end
    return end - top + 12


def _children(order: Order, panel: tuple[str, ...]) -> dict[str, list[str]]:
    """The tree of first parents."""
    children: dict[str, list[str]] = {name: [] for name in panel}
    for name in panel:
        if order.parents(name):
            children[order.parents(name)[0]].append(name)
    return children


def _leaves(order: Order, panel: tuple[str, ...]) -> int:
    return sum(not children for children in _children(order, panel).values())


def _row(
    layout: _Layout, order: Order, names: list[str], heading: str, lines: bool, letters: Mapping[str, str]
) -> None:
    """What stands in no panel, side by side; with words for what is above, where there are no lines to it."""
    if not names:
        return
    if lines:
        # Below what they are joined to, so that few lines cross.
        names = sorted(names, key=lambda name: _middle(layout, order, name))
    top, across = layout.height, max(1, min(len(names), int(layout.width // 124)))
    slot = layout.width / across
    crossed = lines and any(order.joints(name) for name in names)
    # The heading stands where no line comes down.
    y = top + RADIUS + (HEAD if crossed else HEAD + 4)
    for start in range(0, len(names), across):
        bottom = y
        for index, name in enumerate(names[start : start + across]):
            small = () if lines else tuple(
                line for joint in order.joints(name) for line in wrapped("within " + " and ".join(joint), slot - 6)
            )  # fmt: skip
            layout.spots[name] = _Spot(slot * (index + 0.5), y, wrapped(name, slot), small, letters.get(name, ""))
            bottom = max(bottom, layout.spots[name].bottom)
        y = bottom + 14 + RADIUS
    layout.height = y - RADIUS + (14 if crossed else 0)
    height = layout.height - 10 if crossed else top + 20
    layout.titles.append(label(12, height, heading, SOFT, weight=600, anchor="start", size=12))
    layout.titles.insert(0, _frame(0, top, layout.width, layout.height - top))
    layout.height += GAP


def _middle(layout: _Layout, order: Order, name: str) -> float:
    above = [layout.spots[one].x for joint in order.joints(name) for one in joint if one in layout.spots]
    return sum(above) / len(above) if above else 0.0


def _frame(x: float, y: float, width: float, height: float) -> str:
    return (f'<rect class="frame" x="{x + 0.5:g}" y="{y + 0.5:g}" width="{width - 1:g}" height="{height - 1:g}" '
            f'rx="8" fill="none" stroke="{LINE}"/>')  # fmt: skip


def _line(layout: _Layout, above: str, below: str, joint: bool, crowded: bool) -> str:
    upper, lower = layout.spots[above], layout.spots[below]
    x, u, v = upper.x, lower.x, lower.top - 3
    if joint:
        # Down through the free space beside the group, to the end of its panel, and only then across.
        side = 1 if u > x else -1
        start, gutter, end = x + side * (BAR / 2 + 2 if crowded else RADIUS + 2), *_down(layout, above, side)
        path = (f"M{start:.1f} {upper.y:.1f}Q{gutter:.1f} {upper.y:.1f} {gutter:.1f} {upper.y + 30:.1f}V{end:.1f}"
                f"C{gutter:.1f} {end + 42:.1f} {u:.1f} {v - 48:.1f} {u:.1f} {v:.1f}")  # fmt: skip
        return f'<path class="edge" d="{path}" fill="none" stroke="{SOFT}" stroke-dasharray="3 3" opacity=".7"/>'
    y = upper.bottom + 1
    return f'<path class="edge" d="M{x:.1f} {y:.1f}L{u:.1f} {v:.1f}" fill="none" stroke="{SOFT}"/>'


def _down(layout: _Layout, name: str, side: int) -> tuple[float, float]:
    left, right, end = layout.gutters.get(name, (layout.spots[name].x, layout.spots[name].x, layout.spots[name].bottom))
    return (right if side > 0 else left), end


def _node(name: str, spot: _Spot, drawn: str, link: Link | None, said: str) -> str:
    colours = [INK] * len(spot.lines) + [SOFT] * len(spot.small)
    lines = "".join(
        label(spot.x, spot.y + RADIUS + 14 + 13 * index, line, colour)
        for index, (line, colour) in enumerate(zip((*spot.lines, *spot.small), colours, strict=True))
    )
    lines += label(spot.x, spot.bottom - 2, spot.letters, INK, weight=700, size=10.5)
    body = f"<title>{plain(said)}</title>{drawn}{lines}"
    if link is None:
        return f"<g>{body}</g>"
    left, top = spot.x - 36, spot.top - 4
    ring = (f'<rect class="ring" x="{left:.1f}" y="{top:.1f}" width="72" height="{spot.bottom - top + 3:.1f}" '
            'rx="6" fill="transparent"/>')  # fmt: skip
    return f'<a href="{plain(link(name))}" aria-label="{plain(said)}">{ring}{body}</a>'


def _said(found: Mapping[str, Verdicts], name: str) -> str:
    if len(found) == 1:
        return f"{name}: {next(iter(found.values()))[name]}"
    counts = [(verdict, sum(one[name] == verdict for one in found.values())) for verdict in VERDICTS]
    return f"{name}: " + ", ".join(f"{count} {verdict}" for verdict, count in counts if count)


def _crowd(found: Mapping[str, Verdicts], name: str, spot: _Spot) -> str:
    """A bar as long as the share of those invariant, and their number."""
    kept = sum(one[name] == "invariant" for one in found.values())
    box = f'x="{spot.x - BAR / 2:.1f}" y="{spot.y - 9:.1f}" height="18" rx="4"'
    return (
        f'<rect {box} width="{BAR * kept / len(found):.1f}" fill="{COLOURS["invariant"]}" fill-opacity=".3"/>'
        f'<rect {box} width="{BAR:g}" fill="none" stroke="{SOFT}"/>'
        + label(spot.x, spot.y + 4, f"{SIGNS['invariant']} {kept}", INK, weight=600)
    )


def _legend(
    order: Order, classes: tuple[Profile, ...], found: Mapping[str, Verdicts], width: float, top: float
) -> tuple[str, float]:
    """Words below the picture, and where they end."""
    parts, y = [], top + 12
    joined = any(order.joints(name) for name in order.names)
    dashed = " (dashed: within two together)" if joined else ""
    texts = [f"A group lies within those above it, to which lines lead{dashed}."]
    if classes:
        texts.append(
            f"{SIGNS['invariant']}: how many of {len(found)} optimizers are invariant.  A letter: the optimizers of "
            "that profile stand here, as this is one of the largest groups to which they are invariant."
        )
    else:
        shown = [verdict for verdict in VERDICTS if any(verdict in one.values() for one in found.values())]
        x = 14.0
        for verdict in shown:
            if x + 30 + 7 * len(verdict) > width:
                x, y = 14.0, y + 26
            parts.append(mark(verdict, x, y, 9) + label(x + 15, y + 4, verdict, INK, anchor="start"))
            x += 40 + 6.2 * len(verdict)
        y += 30
    for line in (part for text in texts for part in wrapped(text, width - 16)):
        parts.append(label(8, y, line, SOFT, anchor="start"))
        y += 16
    y += 6
    for one in classes:
        parts.append(label(8, y, one.letter, INK, weight=700, anchor="start"))
        # Names have more capitals than words, which are wider.
        for line in wrapped(f"{len(one.optimizers)}: {', '.join(one.optimizers)}", width - 48, size=13.5):
            parts.append(label(36, y, line, INK, anchor="start"))
            y += 15
        for line in wrapped(standing(order, one), width - 48):
            parts.append(label(36, y, line, SOFT, anchor="start"))
            y += 15
        y += 4
    return "".join(parts), y
