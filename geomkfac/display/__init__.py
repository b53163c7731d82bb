"""Pictures of metrics in named bases."""

from __future__ import annotations

from geomkfac.display.figures import draw_factors

__all__ = ["draw_factors"]
