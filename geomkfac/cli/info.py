"""``geomkfac info``: kinds of scalars, array libraries and their devices, and what is installed."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib.util import find_spec
from typing import Annotated, Any

from geomkfac.arrays.floats import installed
from geomkfac.cli import options
from geomkfac.cli.printing import print_json, table, write_line

KINDS = {
    "floating": "float32 and float64 arrays of the libraries below, on their devices",
    "GF(p)": "a finite field: exact, on the host",
    "Q": "rational numbers: exact, on the host",
    "symbols": "symbolic expressions: exact, on the host",
    "degree": "GF(p) with degrees, which bound the chance of an error: exact, on the host",
}
"""Kinds of scalars, and what they are."""

EXTRAS = {
    "figures": ("matplotlib",),
    "torch": ("torch",),
    "gpu": ("cupy",),
    "jax": ("jax",),
    "distributed": ("distributed",),
    "test": ("pytest", "hypothesis", "xdist", "array_api_strict", "matplotlib"),
    "dev": ("pytest", "hypothesis", "mypy", "ruff", "importlinter", "distributed"),
    "benchmark": ("torch", "curvlinops"),
}
"""Extras of this package, and the modules by which they are known."""


def info(as_json: Annotated[bool, options.JSON] = False) -> None:
    """Versions, kinds of scalars, array libraries with the devices that they see, BLAS and extras."""
    from geomkfac import __version__

    libraries = installed.installed_libraries()
    missing = {extra: [name for name in names if find_spec(name) is None] for extra, names in EXTRAS.items()}
    report: dict[str, Any] = {
        "geomkfac": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "kinds": KINDS,
        "libraries": [asdict(library) for library in libraries],
        "blas": installed.blas(),
        "extras": {extra: {"installed": not names, "missing": names} for extra, names in missing.items()},
    }
    if as_json:
        print_json(report)
    else:
        _show(report)


def _show(report: dict[str, Any]) -> None:
    write_line(f"geomkfac {report['geomkfac']}, Python {report['python']}, {report['system']}")
    write_line()
    table(["kind of scalar", "what it is"], [[name, what] for name, what in report["kinds"].items()], wrap="what it is")
    rows = []
    for library in report["libraries"]:
        if library["version"] is None:
            seen = library["note"] or f"pip install 'geomkfac[{library['extra']}]'"
            rows.append([library["name"], "not installed", seen])
        else:
            devices = ", ".join(library["devices"]) or f"none ({library['note']})"
            rows.append([library["name"], library["version"], devices])
    table(["array library", "version", "devices"], rows, wrap="devices")
    rows = [
        [name, "yes" if extra["installed"] else f"no: {', '.join(extra['missing'])}"]
        for name, extra in report["extras"].items()
    ]
    table(["extra", "installed"], rows)
    blas = report["blas"]
    said = ", ".join(f"{name}={value}" for name, value in blas["threads"].items()) or "threads as it likes"
    write_line(f"NumPy's BLAS: {blas['name']} {blas['version']}; {said}; {blas['cores']} cores.")
