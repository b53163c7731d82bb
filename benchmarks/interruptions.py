"""Commands that are interrupted: seconds from the signal until the last of their processes is gone."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tables import Record, Target, paragraph, table

__all__ = ["PACKAGES", "lines", "records", "targets"]

PACKAGES = ("typer", "python-flint")

ROOT = Path(__file__).parents[1]
MAIN = "from geomkfac.cli import main; main()"
CHUNKS = ("factors", "network.npz", "data.npz", "--output", "categorical", "--activation", "tanh", "--chunk", "5")
INSIDE = """
import geomkfac.cli.network_problem as loading
loading.Measurement.moments = lambda *_: call()
"""
LAPACK = """
import numpy
matrix = numpy.random.default_rng(0).standard_normal((3000, 3000))
call = lambda: numpy.linalg.eigvals(matrix)
"""
FLINT = """
from flint import fmpq, fmpq_mat
matrix = fmpq_mat(700, 700, [fmpq(1, i + j + 1) for i in range(700) for j in range(700)])
call = matrix.inv
"""

PLACES = {
    "imports": ("", ("info",), 0.2),
    "`factors`": ("", CHUNKS, 3.0),
    "`factors`, two workers": ("", (*CHUNKS, "--workers", "2"), 5.0),
    "`factors`, two workers that import": ("", (*CHUNKS, "--workers", "2"), 1.5),
    "`verify --jobs 2`": ("", ("verify", "--jobs", "2"), 6.0),
    "one call of LAPACK": (LAPACK + INSIDE, CHUNKS, 4.0),
    "one call of FLINT": (FLINT + INSIDE, CHUNKS, 4.0),
}
"""What is planted, the command, and the seconds after which the signal is sent; each command takes a minute."""

SIGNALS = ("SIGINT", "SIGTERM", "SIGKILL")
"""The first two as a terminal sends them, to all processes of the command; the last to the one that was started."""

TEXT = """Seconds from a signal until the last process of a command is gone. SIGINT and SIGTERM go to all of its
processes, SIGKILL to the one that was started alone."""


def records(quick: bool, repeats: int) -> list[Record]:
    """One record for each place and signal, with the seconds of every run."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_problem(folder)
        for place in list(PLACES)[: 2 if quick else None]:
            for number in SIGNALS:
                seconds = [_until_gone(folder, place, number) for _ in range(1 if quick else repeats)]
                found.append({"place": place, "signal": number, "seconds": seconds})
                print(f"{place:40s} {number:8s} {statistics.median(seconds):.3f} s, at most {max(seconds):.3f} s")
    return found


def _write_problem(folder: Path) -> None:
    """So many data that no command ends by itself."""
    rng = np.random.default_rng(0)
    widths = {"layer1": (4, 5), "layer2": (3, 4)}
    network = {f"{layer}.weight": rng.standard_normal(shape) for layer, shape in widths.items()}
    network |= {f"{layer}.bias": rng.standard_normal(shape[0]) for layer, shape in widths.items()}
    np.savez(folder / "network.npz", **network)
    np.savez(folder / "data.npz", X=rng.standard_normal((10**6, 5)), y=rng.integers(0, 3, 10**6))


def _until_gone(folder: Path, place: str, name: str) -> float:
    planted, words, delay = PLACES[place]
    number = getattr(signal, name)
    process = subprocess.Popen(
        [sys.executable, "-c", planted + MAIN, *words], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    time.sleep(delay)
    if process.poll() is not None:
        raise SystemExit(f"{' '.join(words)} ended by itself, with status {process.returncode}")
    start = time.perf_counter()
    if number == signal.SIGKILL:
        process.kill()
    else:
        os.killpg(process.pid, number)
    status = process.wait()
    while any(_living(process.pid)):
        time.sleep(0.002)
    elapsed = time.perf_counter() - start
    if status not in (128 + number, -signal.SIGKILL):
        raise SystemExit(f"{' '.join(words)} ended with status {status} after {name}")
    return elapsed


def _living(session: int) -> Iterator[int]:
    """The processes of a session that have not ended."""
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                yield int(path.name)


def lines(found: list[Record]) -> list[str]:
    """The table and the words around it."""
    rows = [
        (one["place"], one["signal"], f"{statistics.median(one['seconds']):.2f}", f"{max(one['seconds']):.2f}")
        for one in found
    ]
    return [*table(("inside", "signal", "median, s", "at most, s"), rows), "", *paragraph(TEXT)]


def targets(found: list[Record]) -> list[Target]:
    """All of them, the slowest runs too."""
    seconds = [max(one["seconds"]) for one in found]
    return [Target("from a signal to the end of all processes, seconds", 2.0, seconds, why="a busy machine")]
