"""Metrics in named bases as pictures and formulas, and the ledger as a page."""

from __future__ import annotations

from geomkfac.display.correlations import draw_correlations
from geomkfac.display.figures import draw_factors
from geomkfac.display.latex import latex
from geomkfac.display.page import ledger_page

__all__ = ["draw_correlations", "draw_factors", "latex", "ledger_page"]
