"""Metrics in named bases as pictures and formulas; the ledger, and audits, as pages."""

from __future__ import annotations

from geomkfac.display.audit.audit_page import audit_page
from geomkfac.display.audit.lattice import draw_lattice, lattice_svg
from geomkfac.display.correlations import draw_correlations
from geomkfac.display.figures import draw_factors
from geomkfac.display.latex import latex
from geomkfac.display.ledger_page import ledger_page

__all__ = [
    "audit_page",
    "draw_correlations",
    "draw_factors",
    "draw_lattice",
    "latex",
    "lattice_svg",
    "ledger_page",
]
