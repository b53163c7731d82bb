"""Entries of the list of errata: as printed they fail, as corrected they hold."""

from __future__ import annotations

from geomkfac.theorems.engine.statement import Check, Erratum, Grade, Identity, Mutant, Over, Statement
from geomkfac.theorems.engine.world import Sizes

TYPES = "a slip of types or indices: refused by the types"


def erratum_statement(
    id: str,
    title: str,
    erratum: Erratum,
    checks: tuple[Check, ...],
    mutants: tuple[Mutant, ...] = (),
    latex: str = "",
    objects: tuple[str, ...] = (),
) -> Statement:
    """An entry of the list of errata."""
    text = f"Printed: {erratum.printed}.  Correct: {erratum.corrected}."
    return Statement(
        id, erratum.where, title, text, latex, ("As in the place corrected.",), checks, mutants, objects, erratum
    )


def corrected_and_printed(
    identity: Identity, sizes: tuple[Sizes, ...], printed: str, over: Over = "GF(p)"
) -> tuple[Check, Check]:
    """The check that a formula holds as corrected, and that it fails with the fault `printed`, as it was printed."""
    grade: Grade = "S" if over == "symbols" else "X"
    return (
        Check(grade, "as corrected", identity, sizes, over),
        Check("C", "as printed", identity, sizes, over, drops=printed),
    )
