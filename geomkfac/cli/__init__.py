"""The command line: ``geomkfac verify``, ``factors`` and ``step``."""

from __future__ import annotations

from geomkfac.cli.main import main

__all__ = ["main"]
