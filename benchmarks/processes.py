"""Whole processes in fresh interpreters: the import, commands, the whole ledger."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from tables import Record, Target, paragraph, table

__all__ = ["PACKAGES", "lines", "records", "targets"]

PACKAGES = ("typer",)

ROOT = Path(__file__).parents[1]

NOTHING, NUMPY, IMPORT = "python -c pass", "python -c 'import numpy'", "python -c 'import geomkfac'"
HELP, FACTORS = "geomkfac --help", "geomkfac factors digits digits --output categorical --activation tanh"
VERIFY = "geomkfac verify --jobs 2"

ARGUMENTS = {
    NOTHING: ["-c", "pass"],
    NUMPY: ["-c", "import numpy"],
    IMPORT: ["-c", "import geomkfac"],
    HELP: ["-m", "geomkfac", "--help"],
    FACTORS: ["-m", *FACTORS.split()],
    VERIFY: ["-m", *VERIFY.split()],
}

TEXT = """Seconds on the clock, from the start of the interpreter to its end, byte code cached, and seconds of all its
processors. The ledger runs once, in two processes; where other programs kept the processors busy its processor seconds
say more."""


def records(quick: bool, repeats: int) -> list[Record]:
    """One record for each command: seconds on the clock and of the processors."""
    found = []
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for command, arguments in ARGUMENTS.items():
            if command == VERIFY and quick:
                continue
            runs = [_timed(arguments, environment) for _ in range(1 if command == VERIFY else 1 + repeats)]
            clock, processors = (statistics.median(column) for column in zip(*(runs[1:] or runs), strict=True))
            found.append({"command": command, "clock": clock, "processors": processors})
            print(f"{command:60s} {clock:.3f} s, {processors:.3f} s of processors", flush=True)
    return found


def _timed(arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    subprocess.run(
        [sys.executable, *arguments], env=environment, check=True, cwd=ROOT, stdout=subprocess.DEVNULL
    )
    elapsed, after = perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def lines(found: list[Record]) -> list[str]:
    """The table and the words around it."""
    rows = [(f"`{one['command']}`", f"{one['clock']:.2f}", f"{one['processors']:.2f}") for one in found]
    return [*table(("command", "on the clock, s", "of processors, s"), rows), "", *paragraph(TEXT)]


def targets(found: list[Record]) -> list[Target]:
    """The import, and the whole ledger."""
    clock = {one["command"]: one["clock"] for one in found}
    busy = "a busy machine: its processor seconds are below"
    many = f"NumPy alone takes {clock[NUMPY]:.2f} of them; the rest is many small modules, of a millisecond or two each"
    wanted = [Target("`import geomkfac`, seconds", 0.3, [clock[IMPORT]], why=many)]
    if VERIFY in clock:
        wanted.append(Target("`geomkfac verify`, two processes, seconds", 60, [clock[VERIFY]], "{:.0f}", why=busy))
    return wanted
