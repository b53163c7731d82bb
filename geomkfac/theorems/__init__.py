"""The statements of the papers, executable: exact evidence, numeric evidence, counterexamples, mutants."""

from __future__ import annotations

from geomkfac.theorems.registry import STATEMENTS, find
from geomkfac.theorems.run import Report, run
from geomkfac.theorems.statement import (
    GRADES,
    Check,
    Comparison,
    Evidence,
    Mutant,
    Sizes,
    Statement,
    given,
    same,
)
from geomkfac.theorems.world import World

__all__ = [  # noqa: RUF022 (in the order in which the docs teach them)
    "STATEMENTS",
    "find",
    "run",
    "Report",
    "Evidence",
    "GRADES",
    "Statement",
    "Check",
    "Mutant",
    "Comparison",
    "same",
    "given",
    "Sizes",
    "World",
]
