"""The command line: the program ``geomkfac`` and its commands."""

from geomkfac.cli.entry import main

__all__ = ["main"]
