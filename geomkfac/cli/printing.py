"""What the commands print and write: tables for people, one JSON document for programs, progress for the patient."""

from __future__ import annotations

import json
import math
import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import get_terminal_size
from threading import Timer
from typing import Any

import typer

from geomkfac.errors import ValuesError
from geomkfac.networks import Progress

READER_GONE = 141
PATIENCE = 1.0
WIDEST = 100
BETWEEN_LINES = 30.0
"""Seconds between two lines about progress, where there is no terminal for a bar."""


def write_line(text: str = "") -> None:
    """One paragraph on standard output, folded between words on a terminal, one line elsewhere."""
    if sys.stdout.isatty():
        width = min(get_terminal_size().columns, WIDEST)
        indent = " " * (len(text) - len(text.lstrip(" -")))
        text = textwrap.fill(text, width, subsequent_indent=indent, break_on_hyphens=False)
    _write(text + "\n")


def print_json(document: Any) -> None:
    """One JSON document on standard output; infinities, which JSON lacks, become null."""
    _write(json.dumps(_plain(document), indent=2) + "\n")


def _write(text: str) -> None:
    """Write and flush, so that a reader who went away is met here and not at exit."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError as error:
        # What is still buffered must have somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(READER_GONE) from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def number(value: float) -> str:
    """A nonnegative number in three digits."""
    return f"{value:.3g}" if 0.01 <= abs(value) < 1000 or value == 0 else f"{value:.1e}"


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, wrap: str | None = None, fold: Sequence[str] = ()
) -> None:
    """A table on standard output; the column named by `wrap` folds and fills, those of `fold` fold, others do not."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        folds = column == wrap or column in fold
        drawn.add_column(column, no_wrap=not folds, overflow="fold", ratio=1 if folds else None)
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    console = Console(highlight=False)
    with console.capture() as captured:
        console.print(drawn)
    # Rich pads every line to the full width of the table.
    lines = [line.rstrip() for line in captured.get().splitlines()]
    _write("\n".join(lines).strip("\n") + "\n\n")


def checked_document(what: str, path: Path | None) -> None:
    """Refuse, before anything is run, a file that cannot be written afterwards; `what` says what it will hold."""
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise ValuesError(
            f"the {what} cannot be written.\n  required: a file in a directory that exists\n  came    : {path}\n"
            "Make the directory first."
        )


@contextmanager
def progress_bar(description: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A function that advances a bar on standard error, shown after a second; elsewhere than on a terminal, lines.

    Parameters
    ----------
    total : what the steps add up to; None where nobody counts, and the bar only moves
    """
    if not sys.stderr.isatty():
        yield _lines(description, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    task = progress.add_task(description, total=total)
    timer = Timer(PATIENCE, progress.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda count: progress.advance(task, count)
    finally:
        timer.cancel()
        timer.join()
        progress.stop()


def _lines(description: str, total: int | None) -> Callable[[int], None]:
    """A function that counts, and writes a line now and then that says when the end is to be expected."""
    done, began = 0, time.monotonic()
    told = began

    def advance(count: int) -> None:
        nonlocal done, told
        done, now = done + count, time.monotonic()
        if now - told >= BETWEEN_LINES:
            told = now
            of = "" if total is None else f" of {total}"
            left = "" if total is None else f", about {(total - done) * (now - began) / max(done, 1):.0f} s left"
            print(f"geomkfac: {description}: {done}{of}; {now - began:.0f} s{left}", file=sys.stderr, flush=True)

    return advance


@contextmanager
def data_progress(description: str, total: int | None = None) -> Iterator[Callable[[Progress], None]]:
    """A function to be told of progress: it moves a bar on a terminal, and writes a line now and then elsewhere.

    Both go to standard error, and both say when the end is to be expected.
    """
    if not sys.stderr.isatty():
        yield _data_lines(description)
        return
    done = 0
    with progress_bar(description, total) as advance:

        def tell(progress: Progress) -> None:
            nonlocal done
            advance(progress.done - done)
            done = progress.done

        yield tell


def _data_lines(description: str) -> Callable[[Progress], None]:
    told = time.monotonic()

    def tell(progress: Progress) -> None:
        nonlocal told
        if time.monotonic() - told >= BETWEEN_LINES:
            told = time.monotonic()
            print(f"geomkfac: {description}: {progress}", file=sys.stderr, flush=True)

    return tell
