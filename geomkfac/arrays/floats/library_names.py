"""Array libraries by name, for floating point."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from geomkfac.arrays.floats.devices import device_named, no_device
from geomkfac.arrays.floats.floating import FloatingNamespace, floating
from geomkfac.errors import KindError, MissingExtraError
from geomkfac.names import look_up

LIBRARIES = {"numpy": "numpy", "cupy": "gpu", "torch": "torch", "jax": "jax", "array_api_strict": "test"}
"""Names of libraries, and the extra of this package that installs each (NumPy comes with it)."""

LIBRARY_ON = {"cpu": "numpy", "cuda": "cupy"}
"""Devices on which a whole command can compute, and the library whose arrays it uses there."""


def floating_namespace(library: str, dtype: str = "float64", device: str | None = None) -> FloatingNamespace:
    """The namespace of a library's own arrays, on a device.

    Parameters
    ----------
    library : a key of `LIBRARIES`, perhaps with a device: ``"torch:cuda"``
    dtype : ``"float32"`` or ``"float64"``
    device : its name, such as ``"cpu"``, ``"cuda"`` or ``"cuda:1"``; None for the library's default one

    Raises
    ------
    UnknownNameError : another library or dtype.
    MissingExtraError : the library is not installed.
    DeviceError : the library has no such device here.
    KindError : float64 of JAX, which is off by default.
    """
    library, _, place = library.partition(":")
    device = device or place or None
    look_up("array library", library, LIBRARIES)
    look_up("dtype", dtype, dict.fromkeys(("float32", "float64")))
    module = imported_library(library)
    if library == "jax":
        if dtype == "float64" and not module.config.jax_enable_x64:
            raise KindError(
                "JAX has no float64 unless it is switched on.\n  required: jax_enable_x64 on, or dtype float32\n"
                "  came    : dtype float64, and jax_enable_x64 off\n"
                'Call jax.config.update("jax_enable_x64", True) before any array is made.'
            )
        module = import_module("jax.numpy")
    if device is None:
        try:
            return floating.namespace_of(module.zeros(1, dtype=getattr(module, dtype)))
        except RuntimeError as error:
            raise no_device(library, "cuda" if library == "cupy" else "default", error) from error
    own = device_named(library, device)
    # The libraries' own functions differ in how a device is named.
    xp = import_module(f"array_api_compat.{library}") if library in ("numpy", "torch", "cupy") else module
    return floating.namespace_of(xp.zeros(1, dtype=getattr(xp, dtype), device=own))


def imported_library(library: str) -> Any:
    """The module of a key of `LIBRARIES`.

    Raises
    ------
    MissingExtraError : it is not installed, or cannot be imported.
    """
    extra = LIBRARIES[library]
    try:
        return import_module(library)
    except ImportError as error:
        raise MissingExtraError(
            f"arrays of {library} need {library}, which is not installed.\n  required: {library}\n"
            f"  came    : {error}\nInstall it with: pip install 'geomkfac[{extra}]'"
        ) from error
