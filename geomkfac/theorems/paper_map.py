"""``docs/paper-map.md``: from a place in a paper to the objects and the checks, made from the statements.

python -m geomkfac.theorems.paper_map > docs/paper-map.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from geomkfac.theorems.engine.statement import Identity, Statement
from geomkfac.theorems.registry import CHAPTERS

_HEAD = """# From the papers to the code

Made from the statements themselves (`python -m geomkfac.theorems.paper_map`), and tested against them. Every row is
run by `geomkfac verify ID`; `--explain` says what is drawn and compared. Grades: X exact, S symbolic, N numeric,
C counterexample, and the number of planted faults that must be refuted.

LG is Luk & Grosse, *A coordinate-free construction of scalable natural gradient*; J Johnson, *Natural gradients and
K-FAC*; GM Grosse & Martens, *A Kronecker-factored approximate Fisher matrix for convolution layers*; NN Grosse, *Neural
net training dynamics*, chapter 4. GK are our own, E errata.
"""


def paper_map() -> str:
    """The document, in Markdown."""
    return "\n".join([_HEAD, *(line for chapter in CHAPTERS for line in _chapter(chapter))])


def _chapter(chapter: str) -> Iterator[str]:
    yield f"## {chapter}\n"
    yield "| place | id | statement | objects | checks | grades |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for statement in CHAPTERS[chapter]:
        yield f"| {' | '.join(_cell(text) for text in _row(statement))} |"
    yield ""


def _row(statement: Statement) -> list[str]:
    mutants = [f"{len(statement.mutants)} faults"] if statement.mutants else []
    objects = ", ".join(f"`{name}`" for name in statement.objects)
    grades = " ".join([statement.grades, *mutants])
    return [statement.source, statement.id, statement.title, objects, _places(statement), grades]


def _places(statement: Statement) -> str:
    """The functions that check it, by file."""
    functions: dict[str, list[str]] = {}
    for check in statement.checks:
        file, name = _place(check.identity)
        names = functions.setdefault(file, [])
        if name not in names:
            names.append(name)
    return "; ".join(f"`{file}`: {', '.join(f'`{name}`' for name in names)}" for file, names in functions.items())


def _place(identity: Identity) -> tuple[str, str]:
    # A check made by a function, once for each metric, is found under its maker.
    name = identity.__qualname__.split(".<locals>")[0]
    return f"{identity.__module__.rpartition('.')[2]}.py", name


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(paper_map())
