"""The statements of the papers, executable: exact evidence, numeric evidence, counterexamples, mutants."""

from __future__ import annotations

from geomkfac.theorems.certificate import CertificateDirectory
from geomkfac.theorems.engine.run import Report, run
from geomkfac.theorems.engine.statement import (
    GRADES,
    Check,
    Comparison,
    Erratum,
    Evidence,
    Mutant,
    Order,
    Statement,
    given,
    order,
    refuses,
    same,
)
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.explain import Section, explain
from geomkfac.theorems.registry import CHAPTERS, STATEMENTS, find
from geomkfac.theorems.suite import run_all

__all__ = [  # noqa: RUF022 (in the order in which the docs teach them)
    "STATEMENTS",
    "CHAPTERS",
    "find",
    "run",
    "run_all",
    "Report",
    "explain",
    "Section",
    "CertificateDirectory",
    "Evidence",
    "GRADES",
    "Statement",
    "Erratum",
    "Check",
    "Mutant",
    "Comparison",
    "same",
    "given",
    "Order",
    "order",
    "refuses",
    "Sizes",
    "World",
]
