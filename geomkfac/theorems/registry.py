"""All statements, chapter by chapter, in the order of the ledger."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules
from typing import NoReturn

from geomkfac.errors import UnknownNameError, ValuesError
from geomkfac.theorems import ledger
from geomkfac.theorems.engine.statement import Statement

PAPERS = {
    "LG 2: background": (
        "LG-2.2 LG-2.1.1-KL LG-2.1.2 LG-2.8 LG-2.9/2.10 LG-laws LG-T2.1 LG-1-perm LG-2.2.2 LG-2.2.3 LG-2.12 "
        "LG-2.2.4 LG-2.2.5"
    ),
    "LG 3: multilayer perceptrons": (
        "LG-3.3 LG-3.4 LG-3.1-tanh LG-T3.1 LG-E3.2 LG-E3.3 LG-E3.4 LG-3.4-ev LG-L3.5 LG-T3.6a LG-T3.6b LG-P3.7 "
        "LG-R3.8 LG-3.7 LG-D3.9 LG-T3.10 LG-functor LG-R3.11 LG-R3.12"
    ),
    "LG 4: convolutional networks": "LG-4.2/4.3 LG-4.4 LG-4.5/LG-D4.3 LG-T4.2 LG-T4.4",
    "LG 5: recurrent networks": "LG-5.3/LG-D5.3 LG-T5.2 LG-T5.4",
    "LG appendix: tangent spaces and tensors": "LG-TA.1/LG-CA.2 LG-A.1/LG-A.2",
    "J: natural gradients": "J-8/17 J-13 J-4-damp J-19..22 J-38 J-40..43 J-46..48 J-49..52 J-53/54 J-8-store",
    "GM: damping and quadratic models": "GM-9/10 GM-32/33 GM-36..38 GM-39..44",
    "GM: convolution": "GM-L1/GM-T1 GM-T2 GM-3.1 GM-L2/GM-L3/GM-T3 GM-T4 GM-Alg1",
    "NN: second-order optimization": (
        "NN-3..5 NN-6 NN-8/9 NN-2.3 NN-10/11 NN-12..14 NN-15..21 NN-22/23 NN-24 NN-25 NN-5.5 NN-26/27 NN-Alg1 NN-PST"
    ),
}
"""The ids of the papers' statements, in the order of the papers, which no id shows."""

NUMBERED = {"GK-": "Beyond the sources", "E": "Errata"}
"""Chapters whose ids are numbered, and stand in the order of their numbers: what stands before the number."""


def in_chapters(found: Iterable[Statement]) -> dict[str, tuple[Statement, ...]]:
    """Statements chapter by chapter, in the order of the ledger.

    Raises
    ------
    ValuesError : two statements have one id, an id has no place in the ledger, or a place has no statement.
    """
    by_id: dict[str, Statement] = {}
    for statement in found:
        if by_id.setdefault(statement.id, statement) is not statement:
            raise ValuesError(f"two statements have the id {statement.id!r}.\nGive one of them another.")
    places = {chapter: ids.split() for chapter, ids in PAPERS.items()}
    for start, chapter in NUMBERED.items():
        numbers = sorted(int(id.removeprefix(start)) for id in by_id if re.fullmatch(rf"{start}\d+", id))
        places[chapter] = [f"{start}{number}" for number in numbers]
    ids = [id for chapter in places.values() for id in chapter]
    without, empty = sorted(by_id.keys() - ids), [id for id in ids if id not in by_id]
    if without or empty:
        raise ValuesError(
            "the ledger and its statements differ.\n"
            f"  statements without a place: {', '.join(without) or 'none'}\n"
            f"  places without a statement: {', '.join(empty) or 'none'}\n"
            "List the id in PAPERS of geomkfac/theorems/registry.py, or number it as GK-1 and E1 are."
        )
    return {chapter: tuple(by_id[id] for id in ids) for chapter, ids in places.items()}


def _of_the_ledger() -> Iterator[Statement]:
    """The statements of all files of the ledger; some files hold what others share, and none."""
    for file in iter_modules(ledger.__path__, f"{ledger.__name__}."):
        yield from getattr(import_module(file.name), "STATEMENTS", ())


CHAPTERS: dict[str, tuple[Statement, ...]] = in_chapters(_of_the_ledger())
"""The statements of each chapter of the ledger."""

STATEMENTS: dict[str, Statement] = {one.id: one for chapter in CHAPTERS.values() for one in chapter}
"""Statements by their id in the ledger."""


def find(ids: Iterable[str] = ()) -> list[Statement]:
    """The statements of these ids, in the order given; all of them, in the order of the ledger, for none.

    An id of several numbers is found by each: ``"LG-2.9/2.10"`` by ``"LG-2.10"``, ``"J-49..52"`` by ``"J-50"``.

    Raises
    ------
    UnknownNameError : an id is not one of them; it names the nearest.
    """
    by_spelling = {name: one for one in STATEMENTS.values() for name in spellings(one.id)} | STATEMENTS
    found = [by_spelling[name] if name in by_spelling else _unknown(name, list(by_spelling)) for name in ids]
    return list(dict.fromkeys(found)) or list(STATEMENTS.values())


def _unknown(name: object, known: list[str]) -> NoReturn:
    near = get_close_matches(str(name), known, n=3, cutoff=0.5)
    nearest = f"The nearest are {', '.join(map(repr, near))}." if near else "None is near."
    raise UnknownNameError(
        f"unknown statement {name!r}.\n  required: an id of the ledger, such as 'LG-T2.1', 'J-50' or 'E9'\n"
        f"  came    : {name!r}\n{nearest}  All of them: geomkfac verify --list"
    )


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
