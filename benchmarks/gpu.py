"""The factors and a damped solve on a GPU, with CuPy's or PyTorch's arrays, where there is one."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from factors import checked_gap, relative_gap
from libraries import OnArrays
from problems import Problem, problems
from tables import Record, paragraph, table
from timing import interleaved, medians

__all__ = ["ABSENT", "PACKAGES", "lines", "records", "targets"]

PACKAGES = ("torch", "cupy-cuda12x")

ABSENT = "Not run on a GPU yet. `python benchmarks/run.py gpu` measures where there is one."

TEXT = """The classifier of the first section on one device against NumPy on one thread of the same machine; the device
is waited for. *Solve* is one with factored damping, factorising included."""


def _devices() -> dict[str, tuple[str, Any, Any]]:
    """Library: name of the device, conversion, and how to wait for it."""
    found: dict[str, tuple[str, Any, Any]] = {}
    if find_spec("torch"):
        import torch

        if torch.cuda.is_available():
            name = torch.cuda.get_device_name(0)
            found["PyTorch"] = name, lambda x: torch.from_numpy(x).cuda(), torch.cuda.synchronize
    if find_spec("cupy"):
        import cupy

        if cupy.cuda.is_available():
            name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
            found["CuPy"] = name, cupy.asarray, cupy.cuda.Device().synchronize
    return found


def records(quick: bool, repeats: int) -> list[Record]:
    """One record for each library, batch and dtype; none without a device."""
    chosen = [p for p in problems(quick=quick) if p.name == "classifier" and p.fisher == "exact"]
    return [
        {"library": library, "device": device, **_record(problem, convert, wait, repeats)}
        for library, (device, convert, wait) in _devices().items()
        for problem in chosen
    ]


def _record(problem: Problem, convert: Any, wait: Any, repeats: int) -> Record:
    here, there = OnArrays(problem, np.asarray), OnArrays(problem, convert, wait)
    metrics = here.metric(), there.metric()
    gap = checked_gap(problem, max(map(relative_gap, there.factors(metrics[1]), here.factors(metrics[0]))))
    dh = [one.net.differential(one.weights, one.sample, one.loss) for one in (here, there)]
    contestants: dict[str, Any] = {
        "NumPy, factors": lambda: here.metric,
        "device, factors": lambda: there.metric,
        "NumPy, solve": lambda: lambda: here.solve(metrics[0], dh[0]),
        "device, solve": lambda: lambda: there.solve(metrics[1], dh[1]),
    }
    return {**problem.described(), "gap": gap, "seconds": medians(interleaved(contestants, repeats=repeats))}


def lines(found: list[Record]) -> list[str]:
    """The table and the words around it."""
    rows = []
    for one in found:
        seconds = one["seconds"]
        ratios = (f"**{seconds[f'NumPy, {what}'] / seconds[f'device, {what}']:.1f}**" for what in ("factors", "solve"))
        times = (f"{seconds[f'device, {what}']:.4f}" for what in ("factors", "solve"))
        rows.append((one["device"], one["library"], one["batch"], one["dtype"], *times, *ratios, f"{one['gap']:.0e}"))
    header = ("device", "arrays", "batch", "dtype", "factors, s", "solve, s", "factors, times as fast as NumPy",
              "solve, times as fast", "gap")  # fmt: skip
    return [*table(header, rows), "", *paragraph(TEXT)]


def targets(found: list[Record]) -> list:
    """None: the design has none."""
    return []
