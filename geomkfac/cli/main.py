"""The program ``geomkfac``: its commands, and what becomes of errors.

Exit status: 0 where all holds, 1 where a statement does not, 2 for bad input, 130 after an interruption.
Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import typer

from geomkfac import __version__
from geomkfac.cli.factors import factors
from geomkfac.cli.step import step
from geomkfac.cli.verify import verify
from geomkfac.errors import DegenerateMetricError, GeomkfacError

__all__ = ["app", "main"]

app = typer.Typer(
    name="geomkfac",
    help="The geometry of K-FAC, without coordinates: run its theorems, and read a network's matrices in any basis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(verify)
app.command()(factors)
app.command()(step)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"geomkfac {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Options of the program itself."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program on `arguments` (by default the process's own) and exit."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(words)
    except (GeomkfacError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()
            sys.exit(1)
        _report(error, as_json="--json" in words)
        sys.exit(2)
    except KeyboardInterrupt:
        print("geomkfac: interrupted; no file was written.", file=sys.stderr)
        sys.exit(130)


def _report(error: Exception, *, as_json: bool) -> None:
    message = str(error)
    if isinstance(error, DegenerateMetricError):
        message += "\nOn the command line: name a norm (--norm given), or damp the step (--damping)."
    if as_json:
        print(json.dumps({"error": {"type": type(error).__name__, "message": message}}), file=sys.stderr)
    else:
        print(f"geomkfac: {message}", file=sys.stderr)
