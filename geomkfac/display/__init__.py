"""Pictures of metrics in named bases."""

from __future__ import annotations

from geomkfac.display.figures import draw_factors
from geomkfac.display.page import ledger_page

__all__ = ["draw_factors", "ledger_page"]
