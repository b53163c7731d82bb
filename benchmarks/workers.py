"""Several workers: threads, processes and a local Dask cluster, on data in mapped files."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from factors import relative_gap
from ours import Ours
from problems import Problem, problems
from tables import Record, paragraph, table
from timing import interleaved, medians

__all__ = ["ABSENT", "PACKAGES", "lines", "records", "targets"]

PACKAGES = ("distributed",)

ABSENT = "Not measured yet. `python benchmarks/run.py workers` measures; Dask where it is installed."

WORKERS = (1, 2, 4)

DATA = 32768
CHUNK = 1024

TEXT = """The classifier in float32 with sampled targets, 32,768 data in a memory-mapped file, chunks of 1,024, every
worker
with one thread for its arithmetic; workers are started before, and have imported what they need. *Times as fast* is
against one process without an executor. All results agree with that one to the rounding of their sums, and with each
other to the last bit. A chunk of this small network is some fifty milliseconds of work and 7 MB of sums, which
processes send back through a pipe and one process adds: that is why processes gain little here and threads, which
send nothing, gain most. Larger chunks send fewer sums. All crews stand side by side on one machine, so that the
numbers are of this machine as it was."""


def records(quick: bool, repeats: int) -> list[Record]:
    """One record for each sort and number of workers."""
    problem = next(p for p in problems(quick=quick) if p.name == "classifier" and p.dtype == "float32")
    problem = replace(problem, fisher="sampled", batch=2048 if quick else DATA)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ours = _mapped(problem, Path(folder))
        crews: dict[tuple[str, int], Any] = {("alone", 1): None}
        for count in WORKERS:
            crews |= {key: stack.enter_context(crew) for key, crew in _crews(count)}
        contestants = {}
        factors: dict[tuple[str, int], Any] = {}
        for key, executor in crews.items():

            def metric(executor: Any = executor) -> Any:
                return ours.net.kfac_metric(
                    ours.weights, ours.sample, ours.loss, fisher=problem.fisher, executor=executor,
                    chunk_size=256 if quick else CHUNK,
                )  # fmt: skip

            factors[key] = ours.factors(metric())
            contestants[key] = lambda metric=metric: metric
        _check(problem, factors)
        seconds = medians(interleaved(contestants, repeats=repeats))  # type: ignore[arg-type]
    found = [{"workers": kind, "count": count, "seconds": time} for (kind, count), time in seconds.items()]  # type: ignore[misc]
    for one in found:
        print(one["workers"], one["count"], f"{seconds['alone', 1] / one['seconds']:.2f}", flush=True)  # type: ignore[index]
    return found


def _mapped(problem: Problem, folder: Path) -> Ours:
    """The problem, its data in mapped files."""
    ours = Ours(problem)
    X, y = problem.data()
    np.save(folder / "X.npy", X)
    np.save(folder / "y.npy", y)
    X, y = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in "Xy")
    ours.sample = ours.iota.sample(X, y)
    return ours


def _crews(count: int) -> Iterator[tuple[tuple[str, int], Any]]:
    yield ("threads", count), ThreadPoolExecutor(count)
    yield ("processes", count), ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))
    if find_spec("distributed"):
        yield ("Dask", count), _dask(count)


@contextmanager
def _dask(count: int) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    with LocalCluster(count, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        yield client.get_executor()


def _check(problem: Problem, factors: dict[tuple[str, int], Any]) -> None:
    """Refuse to time what does not compute the same."""
    alone = factors["alone", 1]
    first = factors["threads", 1]
    bound = problem.batch * float(np.finfo(problem.dtype).eps)
    for key, found in factors.items():
        for pair, expected, shared in zip(found, alone, first, strict=True):
            if max(map(relative_gap, pair, expected)) > bound:
                raise SystemExit(f"{key}: the factors differ from those of one process; nothing is timed.")
            if key != ("alone", 1) and not all((x == y).all() for x, y in zip(pair, shared, strict=True)):
                raise SystemExit(f"{key}: the factors depend on the workers; nothing is timed.")


def lines(found: list[Record]) -> list[str]:
    """The table and the words around it."""
    alone = next(one["seconds"] for one in found if one["workers"] == "alone")
    rows = [
        (one["workers"], one["count"], f"{one['seconds']:.2f}", f"**{alone / one['seconds']:.2f}**") for one in found
    ]
    return [*table(("workers", "how many", "seconds", "times as fast"), rows), "", *paragraph(TEXT)]


def targets(found: list[Record]) -> list:
    """None: the design has none."""
    return []
