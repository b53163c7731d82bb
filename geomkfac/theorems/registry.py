"""All statements, chapter by chapter, in the order of the ledger."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from geomkfac.names import look_up
from geomkfac.theorems.ledger import gk_2, lg_2_1, lg_3_1, lg_3_2, lg_3_4, lg_3_5
from geomkfac.theorems.statement import Statement

__all__ = ["CHAPTERS", "STATEMENTS", "find", "spellings"]

CHAPTERS: dict[str, tuple[Statement, ...]] = {
    "LG 2: background": (*lg_2_1.STATEMENTS,),
    "LG 3: multilayer perceptrons": (
        *lg_3_1.STATEMENTS,
        *lg_3_2.STATEMENTS,
        *lg_3_4.STATEMENTS,
        *lg_3_5.STATEMENTS,
    ),
    "Beyond the sources": (*gk_2.STATEMENTS,),
}
"""The statements of each chapter of the ledger."""

STATEMENTS: dict[str, Statement] = {
    statement.id: statement for statements in CHAPTERS.values() for statement in statements
}
"""Statements by their id in the ledger."""


def find(ids: Iterable[str] = ()) -> list[Statement]:
    """The statements of these ids, in the order given; all of them, in the order of the ledger, for none.

    An id of several numbers is found by each: ``"LG-2.9/2.10"`` by ``"LG-2.10"``, ``"J-49..52"`` by ``"J-50"``.

    Raises
    ------
    UnknownNameError : an id is not one of them; it lists them, and the nearest.
    """
    by_spelling = {name: one for one in STATEMENTS.values() for name in spellings(one.id)} | STATEMENTS
    found = []
    for name in ids:
        known = by_spelling if name in by_spelling else STATEMENTS
        found.append(look_up("statement", name, known))
    return list(dict.fromkeys(found)) or list(STATEMENTS.values())


def spellings(id: str) -> Iterator[str]:
    """The names by which an id is found: itself, and each number of a pair or a range.

    Examples
    --------
    >>> list(spellings("J-49..51"))
    ['J-49..51', 'J-49', 'J-50', 'J-51']
    """
    yield id
    source, _, numbers = id.partition("-")
    bounds = re.fullmatch(r"(\d+)\.\.(\d+)", numbers)
    if bounds:
        yield from (f"{source}-{number}" for number in range(int(bounds[1]), int(bounds[2]) + 1))
    elif "/" in id:
        yield from (part if part.startswith(f"{source}-") else f"{source}-{part}" for part in id.split("/"))
