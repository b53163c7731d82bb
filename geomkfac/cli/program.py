"""The program ``geomkfac``: its commands, and what becomes of errors.

Exit status: 0 where all holds, 1 where a statement does not, 2 for bad input, 130 after Ctrl-C, 143 after SIGTERM,
141 where the reader of the output went away.  Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

import typer

from geomkfac.cli.audit import audit
from geomkfac.cli.catalogue import catalogue
from geomkfac.cli.factors import factors
from geomkfac.cli.info import info
from geomkfac.cli.step import step
from geomkfac.cli.verify import verify
from geomkfac.errors import GeomkfacError
from geomkfac.version import __version__

BAD_INPUT, INTERRUPTED = 2, 130

# Typer does not export it; all its complaints about a command line are of this class.
UsageError: Any = typer.BadParameter.__base__

app = typer.Typer(
    name="geomkfac",
    help="The geometry of K-FAC, without coordinates: run its theorems, and read a network's matrices in any basis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(short_help="Run the theorems, with evidence for each.")(verify)
app.command(short_help="The K-FAC matrices of a network, in any basis.")(factors)
app.command(short_help="One natural gradient step, in any basis.")(step)
app.command(short_help="What an optimizer is invariant to.")(audit)
app.command(short_help="What the optimizers of whole packages are invariant to.")(catalogue)
app.command(short_help="Versions, array libraries and the devices that they see.")(info)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"geomkfac {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Options of the program itself."""


def run(words: Sequence[str]) -> None:
    """Run the program on the words of a command line, and exit."""
    _prepare_streams()
    # The catalogue's --json names a file.
    as_json = "--json" in words and list(words[:1]) != ["catalogue"]
    try:
        status = app(list(words), prog_name="geomkfac", standalone_mode=False)
    except (GeomkfacError, OSError, MemoryError) as error:
        _report(type(error).__name__, str(error) or "memory is exhausted.", as_json)
        status = BAD_INPUT
    except UsageError as error:
        if as_json:
            _report("UsageError", error.format_message(), as_json)
        else:
            error.show()
        status = BAD_INPUT
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:
        _report("KeyboardInterrupt", "interrupted; no file is left half written.", as_json)
    sys.exit(status or 0)


def _prepare_streams() -> None:
    """Output that was closed (``>&-``) goes nowhere; what its encoding lacks, such as parts of a path, is escaped."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (it is open to the end)
        elif isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _report(kind: str, message: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": {"type": kind, "message": message}}), file=sys.stderr)
    else:
        print(f"geomkfac: {message}", file=sys.stderr)
