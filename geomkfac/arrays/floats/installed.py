"""What is installed here: array libraries with their devices, and the BLAS that NumPy uses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, final

import numpy as np

from geomkfac.arrays.floats.devices import device_named, devices_of
from geomkfac.arrays.floats.library_names import LIBRARIES, imported_library
from geomkfac.arrays.floats.threads import THREADS
from geomkfac.errors import DeviceError, MissingExtraError


@final
@dataclass(frozen=True, slots=True)
class InstalledLibrary:
    """An array library as it is found here.

    Attributes
    ----------
    name : as in `LIBRARIES`
    version : None where it is not installed
    extra : the extra of this package that installs it; None for NumPy, which comes with it
    devices : names of the devices that it sees, the default one first
    note : what the library says where it sees no device, or cannot be imported
    """

    name: str
    version: str | None
    extra: str | None
    devices: tuple[str, ...]
    note: str


def installed_libraries() -> list[InstalledLibrary]:
    """All libraries of `LIBRARIES`; those that are installed are imported."""
    return [_installed(name, None if name == "numpy" else extra) for name, extra in LIBRARIES.items()]


def _installed(name: str, extra: str | None) -> InstalledLibrary:
    if find_spec(name) is None:
        return InstalledLibrary(name, None, extra, (), "")
    try:
        module = imported_library(name)
    except MissingExtraError as error:
        return InstalledLibrary(name, None, extra, (), _line(error))
    devices, note = tuple(devices_of(name)), ""
    if not devices:
        try:
            device_named(name, "cuda")
        except DeviceError as error:
            note = _line(error)
    return InstalledLibrary(name, str(module.__version__), extra, devices, note)


def _line(error: Exception) -> str:
    """What the library itself said: the line of our message that quotes it."""
    lines = [line.strip() for line in str(error).splitlines()]
    quoted = next((line for line in lines if line.startswith("came")), lines[0])
    return quoted.partition(":")[2].strip() or quoted


def blas() -> dict[str, Any]:
    """NumPy's BLAS: its name, its version, and its threads: what the environment says, else the number of cores."""
    configuration: Any = np.show_config(mode="dicts")
    built = configuration["Build Dependencies"]["blas"]
    named = {name: os.environ[name] for name in THREADS if os.environ.get(name)}
    return {
        "name": str(built.get("name")),
        "version": str(built.get("version")),
        "cores": os.cpu_count(),
        "threads": named,
    }
