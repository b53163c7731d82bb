"""What a section ran on: processor, threads, load, versions, date."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["described", "machine"]

NAMES = {"torch": "PyTorch", "curvlinops-for-pytorch": "curvlinops", "jax": "JAX", "kfac-jax": "kfac-jax",
         "cupy-cuda12x": "CuPy", "distributed": "Dask"}  # fmt: skip


def machine(threads: int, packages: Sequence[str]) -> dict[str, Any]:
    """Processor, cores, threads used, load averages (1, 5, 15 minutes), versions of `packages`, date."""
    import numpy as np

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load": [round(load, 1) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "versions": {"NumPy": np.__version__, "SciPy": version("scipy"), **_versions(packages)},
        "blas": f"{blas.get('name')} {blas.get('version')}",
        "date": datetime.date.today().isoformat(),
    }


def described(here: dict[str, Any], repeats: int) -> str:
    """One sentence on it."""
    versions = ", ".join(f"{name} {number}" for name, number in here["versions"].items())
    return (
        f"Measured {here['date']} on an {here['processor']} with {here['cores']} cores; Python {here['python']}, "
        f"{versions}; {here['blas']}; medians of {repeats} runs; load average {here['load'][0]} at the end."
    )


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[NAMES.get(package, package)] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
