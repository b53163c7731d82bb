"""The groups from small to large as a picture, with the verdicts on one optimizer, or with many optimizers on it.

An SVG of its own: no library draws it, it refers to nothing outside itself, and it follows the reader's light or
dark colours.  A verdict is a colour, a shape and a sign, each of which suffices.  Here everything gets its place;
how it looks is the template ``lattice.svg.jinja``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TypeAlias, final

from geomkfac.display.audit.order import Above, Order, Verdicts, checked_verdicts, counted, prefix
from geomkfac.display.audit.profiles import Profile, profiles, standing
from geomkfac.display.templates import rendered
from geomkfac.errors import ValuesError
from geomkfac.outputs import write_text

Link: TypeAlias = Callable[[str], str]
Cells: TypeAlias = Mapping[str, tuple[float, int]]
"""{group: (column, level)}"""
Tile: TypeAlias = tuple[str, str, Cells]
"""A panel before it has its place: a title, words with which its groups begin, and its groups."""

SLOT, PANEL, GAP, HEAD, ROOM = 76, 388, 16, 34, 32
"""Widths and heights, in CSS pixels: of a node's place, a panel, between panels, a panel's title, between levels."""
RADIUS, LINE = 11, 13
"""Of a mark, and the height of a line of words below it."""
NOTE, MARK = 15, 126
"""Height of a line of words below the picture, and width of a verdict there."""


def draw_lattice(order: Above, verdicts: Mapping[str, Verdicts], path: str | Path, *, title: str = "") -> None:
    """Write the picture that `lattice_svg` makes as an SVG file, for documents.

    Parameters
    ----------
    order, verdicts, title : as for `lattice_svg`
    path : where it is written; its suffix must be .svg

    Raises
    ------
    ValuesError, UnknownNameError, FileFormatError
    """
    target = Path(path)
    if target.suffix != ".svg":
        raise ValuesError(f"the picture of the lattice is an SVG file, not {target.suffix or 'one without a suffix'}: "
                          f"write it to {target.with_suffix('.svg').name!r}.")  # fmt: skip
    write_text(target, lattice_svg(order, verdicts, title=title))


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
    columns : how many panels stand side by side
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
    first = next(iter(found))
    stand = f"where {len(found)} optimizers stand" if len(found) > 1 else f"the verdicts on {first}"
    classes = profiles(known, found) if len(found) > 1 else ()
    picture = _drawn(known, columns, {name: _letters(classes, name) for name in known.names})
    if legend:
        picture = _explained(picture, known, classes, found)
    return rendered(
        "lattice.svg.jinja",
        title=title or f"the groups, and {stand}",
        picture=picture,
        order=known,
        optimizers=len(found),
        verdicts=found[first],
        counts={name: counted(one[name] for one in found.values()) for name in known.names},
        link=link,
        radius=RADIUS,
        line_height=LINE,
        note_height=NOTE,
    )


@final
@dataclass(frozen=True, slots=True)
class _Node:
    """A group: the middle of its mark, lines of words below it, and letters of profiles."""

    x: float
    y: int
    words: tuple[str, ...]
    within: tuple[str, ...]
    letters: str

    @property
    def bottom(self) -> int:
        return self.y + RADIUS + 4 + LINE * (len(self.words) + len(self.within) + bool(self.letters))


@final
@dataclass(frozen=True, slots=True)
class _Panel:
    """A frame around groups."""

    title: str
    x: int
    y: int
    width: int
    height: int


@final
@dataclass(frozen=True, slots=True)
class _Note:
    """Lines of words below the picture, beside a letter if they are of a profile."""

    y: int
    letter: str
    names: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def bottom(self) -> int:
        return self.y + NOTE * (len(self.names) + len(self.words)) + 4


@final
@dataclass(frozen=True, slots=True)
class _Picture:
    """Everything in its place; `legend` are marks with (x, y)."""

    width: int
    height: int
    panels: tuple[_Panel, ...]
    nodes: Mapping[str, _Node]
    legend: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    notes: tuple[_Note, ...] = ()


def _drawn(order: Order, columns: int, letters: Mapping[str, str]) -> _Picture:
    """Rows of panels: trees of related groups, side by side; then what is of two places; then what stands alone."""
    related = [one for one in order.components() if len(one) > 1]
    columns = max(1, min(columns, len(related)))
    trees: list[Tile] = [(prefix(names) or names[0], prefix(names), _tree(order, names)) for names in related]
    width = max([PANEL, *(SLOT * _columns(cells) + 8 for _, _, cells in trees)])
    whole = columns * (width + GAP) - GAP
    alone = [name for name in order.names if not any(name in names for names in related)]
    grids = {
        "of two places together": [name for name in alone if order.joints(name)],
        "unrelated to these": [name for name in alone if not order.joints(name)],
    }
    rows = [trees[start : start + columns] for start in range(0, len(trees), columns)]
    rows += [[(title, "", _grid(names, whole))] for title, names in grids.items() if names]
    panels: list[_Panel] = []
    nodes: dict[str, _Node] = {}
    top = 0
    for row in rows:
        width = (whole + GAP) // len(row) - GAP
        for index, (_, common, cells) in enumerate(row):
            nodes |= _placed(order, common, cells, index * (width + GAP), top, width, letters)
        height = 12 + max(nodes[name].bottom for _, _, cells in row for name in cells) - top
        panels += [_Panel(title, index * (width + GAP), top, width, height) for index, (title, _, _) in enumerate(row)]
        top += height + GAP
    return _Picture(whole, top, tuple(panels), nodes)


def _tree(order: Order, names: Sequence[str]) -> Cells:
    """Groups without smaller ones side by side, and every other one above the middle of its own."""
    children = {name: [one for one in names if order.parents(one)[:1] == (name,)] for name in names}
    columns: dict[str, float] = {}
    levels: dict[str, int] = {}
    leaves = count()

    def place(name: str) -> None:
        for child in sorted(children[name], key=lambda one: not children[one]):
            place(child)
        below = [columns[child] for child in children[name]]
        columns[name] = (min(below) + max(below)) / 2 if below else next(leaves)

    for name in order.descending:
        if name in children:
            levels[name] = max((levels[parent] + 1 for parent in order.parents(name)), default=0)
    for name in names:
        if not order.parents(name):
            place(name)
    return {name: (columns[name], levels[name]) for name in names}


def _grid(names: Sequence[str], width: int) -> Cells:
    """Groups side by side, in as many lines as they need."""
    across = min(len(names), width // 124)
    return {name: (index % across, index // across) for index, name in enumerate(names)}


def _columns(cells: Cells) -> int:
    return 1 + max(int(column) for column, _ in cells.values())


def _placed(
    order: Order, common: str, cells: Cells, left: int, top: int, width: int, letters: Mapping[str, str]
) -> dict[str, _Node]:
    """The groups of a panel, whose names go on after words that they have in common."""
    slot = (width - 8) // _columns(cells)
    margin = (width - slot * _columns(cells)) / 2
    words = {name: _wrapped(name[len(common) :].strip(), slot) for name in cells}
    within = {
        name: tuple(line for joint in order.joints(name) for line in _wrapped(f"within {' and '.join(joint)}", slot))
        for name in cells
    }
    # As if the longest words stood below every mark, so that levels are level.
    deepest = max(len(words[name]) + len(within[name]) + bool(letters[name]) for name in cells)
    level = 2 * RADIUS + LINE * deepest + ROOM
    return {
        name: _Node(
            left + margin + slot * (column + 0.5), top + HEAD + RADIUS + 4 + level * depth,
            words[name], within[name], letters[name],
        )
        for name, (column, depth) in cells.items()
    }  # fmt: skip


def _wrapped(words: str, width: float, *, letter: float = 6.1) -> tuple[str, ...]:
    """Words in lines of a width in pixels, by the width of an average letter."""
    return tuple(textwrap.wrap(words, max(8, int(width / letter)), break_on_hyphens=False)) or (words,)


def _letters(classes: Sequence[Profile], name: str) -> str:
    """Of the profiles that stand at a group, in one short line; what has no room is counted."""
    here = [one.letter for one in classes if name in one.largest]
    line, kept = " ".join(here), len(here)
    while len(line) > 10 and kept > 1:
        kept -= 1
        line = " ".join([*here[:kept], f"+{len(here) - kept}"])
    return line


def _explained(
    picture: _Picture, order: Order, classes: Sequence[Profile], found: Mapping[str, Verdicts]
) -> _Picture:
    """With marks, or profiles, explained below it."""
    y, width = picture.height + 12, picture.width
    across = width // MARK
    shown = () if classes else counted(next(iter(found.values())).values())
    legend = {one: (14 + MARK * (index % across), y + 26 * (index // across)) for index, one in enumerate(shown)}
    if legend:
        y = 30 + max(below for _, below in legend.values())
    texts = ["A group lies within those above it, to which lines lead."]
    if classes:
        texts.append(
            f"✓: how many of {len(found)} optimizers are invariant.  A letter: the optimizers of that profile stand "
            "here, as this is one of the largest groups to which they are invariant."
        )
    notes = [_Note(y, "", (), tuple(line for text in texts for line in _wrapped(text, width - 16)))]
    for one in classes:
        # Names have more capitals than words, which are wider.
        names = _wrapped(f"{len(one.optimizers)}: {', '.join(one.optimizers)}", width - 48, letter=7.2)
        notes.append(_Note(notes[-1].bottom, one.letter, names, _wrapped(standing(order, one), width - 48)))
    return replace(picture, height=notes[-1].bottom, legend=legend, notes=tuple(notes))
