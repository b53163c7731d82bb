"""The command line: the program ``geomkfac`` and its commands."""

from __future__ import annotations

from geomkfac.cli.program import main

__all__ = ["main"]
