"""The tables of docs/benchmarks.md, and one line per problem while the benchmark runs."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path
from typing import Any

__all__ = ["machine", "markdown", "text_row"]


def machine(threads: int) -> dict[str, Any]:
    """Processor, cores, threads used, versions, date."""
    import curvlinops  # noqa: F401
    import numpy as np
    import scipy
    import torch
    from importlib.metadata import version

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "blas": f"{blas.get('name')} {blas.get('version')}",
        "torch": torch.__version__,
        "curvlinops": version("curvlinops-for-pytorch"),
        "date": datetime.date.today().isoformat(),
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def ratios(record: dict[str, Any]) -> tuple[float, float]:
    """geomkfac over curvlinops, and geomkfac over the floor."""
    seconds = record["factors"]
    return seconds["geomkfac"] / seconds["curvlinops"], seconds["geomkfac"] / seconds["floor"]


def text_row(record: dict[str, Any]) -> str:
    """One line for the terminal."""
    to_peer, to_floor = ratios(record)
    name = f"{record['problem']}, {record['fisher']}, batch {record['batch']}, {record['dtype']}"
    line = f"{name:46s} geomkfac/curvlinops {to_peer:.2f}   geomkfac/floor {to_floor:.2f}"
    if "solves" in record:
        seconds = record["solves"]["seconds"]
        first = seconds["geomkfac, first"] / seconds["curvlinops, first"]
        kept = seconds["geomkfac, kept"] / seconds["curvlinops, kept"]
        line += f"   solve: first {first:.2f}, kept {kept:.2f}"
    return line


def markdown(document: dict[str, Any]) -> str:
    """The document docs/benchmarks.md, but for its prose."""
    here = document["machine"]
    lines = [
        f"Machine: {here['processor']}, {here['cores']} cores, **{here['threads']} thread**; {here['date']}.",
        f"Python {here['python']}, NumPy {here['numpy']}, SciPy {here['scipy']} ({here['blas']}), "
        f"PyTorch {here['torch']}, curvlinops {here['curvlinops']}. Medians of {document['repeats']} interleaved runs.",
        "",
        "### Kronecker factors",
        "",
        "| network | Fisher | batch | dtype | geomkfac, s | curvlinops, s | floor, s | / curvlinops | / floor |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for record in document["records"]:
        seconds, (to_peer, to_floor) = record["factors"], ratios(record)
        lines.append(
            f"| {record['problem']} | {record['fisher']} | {record['batch']} | {record['dtype']} | "
            f"{seconds['geomkfac']:.3f} | {seconds['curvlinops']:.3f} | {seconds['floor']:.3f} | "
            f"**{to_peer:.2f}** | {to_floor:.2f} |"
        )
    solved = [record for record in document["records"] if "solves" in record]
    lines += [
        "",
        "### Solves with factored damping, and changes of basis",
        "",
        "| network | batch | dtype | first solve / curvlinops | kept solve / curvlinops | change of factors / factors "
        "| change of a step / factors |",
        "|---|---|---|---|---|---|---|",
    ]
    for record in solved:
        seconds, changes = record["solves"]["seconds"], record["changes"]
        lines.append(
            f"| {record['problem']} | {record['batch']} | {record['dtype']} | "
            f"{seconds['geomkfac, first'] / seconds['curvlinops, first']:.2f} | "
            f"{seconds['geomkfac, kept'] / seconds['curvlinops, kept']:.2f} | "
            f"{changes['change of the factors'] / changes['factors']:.1%} | "
            f"{changes['change of a step'] / changes['factors']:.1%} |"
        )
    return "\n".join(lines) + "\n"
