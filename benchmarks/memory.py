"""Peak memory of the factors as the number of data grows, beyond the inputs and the factors themselves."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

from ours import Ours
from problems import Problem, problems
from tables import Record, Target, paragraph, table

__all__ = ["PACKAGES", "lines", "records", "targets"]

PACKAGES = ()

TEXT = """float32 where nothing else is said, chunk size left to the package; peak of what NumPy allocates
(`tracemalloc`) while the factors are computed. Beyond inputs and factors it is one chunk, whatever the number of
data."""


def records(quick: bool, repeats: int) -> list[Record]:
    """One record for each network and number of data."""
    from shared import memory_of_maps

    return peaks(quick) + memory_of_maps(quick)


def lines(found: list[Record]) -> list[str]:
    """The table and the words around it."""
    rows = [
        (one["problem"], one["fisher"], one["data"], *(f"{one[what] / 1e6:.0f}" for what in COLUMNS)) for one in found
    ]
    header = ("network", "Fisher", "data", "inputs, MB", "factors, MB", "peak beyond both, MB")
    return [*table(header, rows), "", *paragraph(TEXT)]


COLUMNS = ("inputs", "factors", "beyond")


def targets(found: list[Record]) -> list[Target]:
    """The peak does not grow: the last two numbers of data, four times or twice as many, against each other."""
    growth = []
    for name in dict.fromkeys(one["problem"] for one in found):
        rows = [one for one in found if one["problem"] == name]
        growth.append(rows[-1]["beyond"] / rows[-2]["beyond"])
    return [Target("peak of memory beyond inputs and factors, as data are added, growth", 1.1, growth)]


def peaks(quick: bool) -> list[dict[str, Any]]:
    """For each network in float32: number of data, and the peak in bytes less the factors, as NumPy allocates."""
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for problem in problems(quick=quick):
        if problem.name in seen:
            continue
        seen.add(problem.name)
        counts = (512, 1024, 2048) if quick else (2048, 8192, 32768)
        rows += [_peak(replace(problem, batch=count)) for count in counts]
    return rows


def _peak(problem: Problem) -> dict[str, Any]:
    ours = Ours(problem)
    metric = ours.metric()  # what is made once, such as imports, is made here
    factors = sum(left.nbytes + right.nbytes for left, right in ours.factors(metric))
    del metric
    tracemalloc.start()
    kept = ours.metric()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    inputs = ours.problem.data()[0].nbytes
    return {
        "problem": problem.name,
        "fisher": problem.fisher,
        "data": problem.batch,
        "inputs": inputs,
        "factors": factors,
        "beyond": peak - factors,
    }
