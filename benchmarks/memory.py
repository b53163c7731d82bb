"""Peak memory of the factors as the number of data grows, beyond the inputs and the factors themselves."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

from ours import Ours
from problems import Problem, problems

__all__ = ["peaks"]


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
