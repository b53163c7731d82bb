"""All statements, in the order of the ledger."""

from __future__ import annotations

from collections.abc import Iterable

from geomkfac.names import look_up
from geomkfac.theorems import gk_2, lg_2_1, lg_3_1, lg_3_2, lg_3_4, lg_3_5
from geomkfac.theorems.statement import Statement

__all__ = ["STATEMENTS", "find"]

_CHAPTERS = (lg_2_1, lg_3_1, lg_3_2, lg_3_4, lg_3_5, gk_2)

STATEMENTS: dict[str, Statement] = {
    statement.id: statement for chapter in _CHAPTERS for statement in chapter.STATEMENTS
}
"""Statements by their id in the ledger."""


def find(ids: Iterable[str] = ()) -> list[Statement]:
    """The statements of these ids, in the order given; all of them, in the order of the ledger, for none.

    Raises
    ------
    UnknownNameError : an id is not one of them; it lists them, and the nearest.
    """
    return [look_up("statement", name, STATEMENTS) for name in ids] or list(STATEMENTS.values())
