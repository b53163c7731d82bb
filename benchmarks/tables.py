"""Tables in Markdown, and the targets of the design with what was measured."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Record", "Target", "paragraph", "summary", "table", "verdict"]

Record = dict[str, Any]

WIDTH = 118


@dataclass(frozen=True)
class Target:
    """One target of the design.

    Attributes
    ----------
    what : what is bounded
    limit : the bound, as the design has it
    values : what was measured, one number for each case
    form : how a number is written
    why : why it is missed, where it is; empty where nothing is to be said
    """

    what: str
    limit: float
    values: Sequence[float]
    form: str = "{:.2f}"
    why: str = ""

    @property
    def missed(self) -> list[float]:
        """What exceeds the limit, as far as it is written."""
        return sorted(value for value in self.values if float(self.form.format(value).rstrip("%sMB ")) > self._shown)

    @property
    def _shown(self) -> float:
        return self.limit * 100 if "%" in self.form else self.limit

    @property
    def outcome(self) -> str:
        """Met; or missed, in how many cases and by how much."""
        if not self.missed:
            return "met"
        over = max(self.missed) / self.limit
        return f"missed in {len(self.missed)} of {len(self.values)}, by up to {over:.2f} times"

    @property
    def span(self) -> str:
        """From the least to the largest number measured."""
        first, last = (self.form.format(value) for value in (min(self.values), max(self.values)))
        return first if first == last else f"{first} to {last}"


def summary(targets: Iterable[Target]) -> list[str]:
    """One row for every target."""
    rows = [
        (target.what, "at most " + target.form.format(target.limit), target.span, f"**{target.outcome}**",
         target.why if target.missed else "")
        for target in targets
    ]  # fmt: skip
    return table(("target", "limit", "measured", "outcome", "why"), rows)


def verdict(target: Target) -> str:
    """One line under a table."""
    return f"- {target.what}, at most {target.form.format(target.limit)}: {target.outcome} ({target.span})."


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Lines of a table."""
    return [_cells(header), "|" + "---|" * len(header), *map(_cells, rows)]


def _cells(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def paragraph(text: str) -> list[str]:
    """A paragraph in lines, and an empty one after it."""
    return [*textwrap.wrap(" ".join(text.split()), WIDTH, break_long_words=False, break_on_hyphens=False), ""]
