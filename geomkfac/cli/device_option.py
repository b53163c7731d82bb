"""The option --device: on which device a command computes, and with which library's arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from geomkfac.arrays import LIBRARY_ON, floating_namespace, namespace_of
from geomkfac.names import look_up

DEVICE: Any = typer.Option(
    "--device",
    metavar="NAME",
    help="Where to compute: cpu, with NumPy's arrays, or cuda, with CuPy's on the current CUDA device.",
)


def onto(device: str, arrays: Sequence[Any]) -> list[Any]:
    """Floating-point arrays of NumPy on a device; integers are left to whoever reads them.

    Raises
    ------
    UnknownNameError, MissingExtraError, DeviceError : no such device, no library for it, none here.
    """
    library = look_up("device", device, LIBRARY_ON)
    moved = []
    for array in arrays:
        if library == "numpy" or array.dtype.kind != "f":
            moved.append(array)
            continue
        # A dtype that is no floating-point one of ours is refused here, as anywhere.
        dtype = namespace_of(array).name.split()[1]
        moved.append(floating_namespace(library, dtype, device).cast_numpy(array))
    return moved


def library_on(library: str, device: str) -> str:
    """The name of an array library and a device, for `floating_namespace`; NumPy means the device's own library."""
    own = look_up("device", device, LIBRARY_ON)
    if device == "cpu" and library != "cupy":
        return library
    return f"{own if library == 'numpy' else library}:{device}"
