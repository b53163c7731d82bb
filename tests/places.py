"""Where the tests of array libraries run: a library and a device each, and which of them need a GPU."""

from __future__ import annotations

import itertools
from collections.abc import Container
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from geomkfac.arrays import FloatingNamespace, floating_namespace
from geomkfac.errors import DeviceError

HOST = {
    "numpy": ("numpy", "cpu"),
    "strict": ("array_api_strict", "cpu"),
    # Its arrays cannot be converted to NumPy unless they are moved first, as those of a GPU.
    "strict-device": ("array_api_strict", "device1"),
    "torch": ("torch", "cpu"),
    "jax": ("jax", "cpu"),
}
GPU = {"cupy-cuda": ("cupy", "cuda"), "torch-cuda": ("torch", "cuda"), "jax-cuda": ("jax", "cuda")}
PLACES = HOST | GPU


def parameters(names: dict[str, Any], *dtypes: str, usual: Container[str] | None = None) -> list[Any]:
    """Parameters ``"place-dtype"`` for a fixture: those of GPUs are marked, and slow are others that are not usual.

    A law of all floating point is tried on the usual places, by default all; CI tries it on every one.
    """
    found = []
    for name, dtype in itertools.product(names, dtypes):
        parameter = f"{name}-{dtype}"
        slow = name not in GPU and usual is not None and parameter not in usual
        marks = [pytest.mark.gpu] * (name in GPU) + [pytest.mark.slow] * slow
        found.append(pytest.param(parameter, marks=marks))
    return found


def namespace(parameter: str) -> FloatingNamespace:
    """The namespace of one of `parameters`; skips the test where the library or the device is missing."""
    name, _, dtype = parameter.rpartition("-")
    library, device = PLACES[name]
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    if library == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    try:
        return floating_namespace(library, dtype, device)
    except DeviceError as error:
        pytest.skip(str(error).splitlines()[0])


def arrays_of(ns: FloatingNamespace) -> Any:
    """A function that makes an array of `ns` from one of NumPy: integers stay integers, on the same device."""

    def made(values: Any) -> Any:
        values = np.asarray(values)
        if values.dtype.kind != "f":
            return ns.xp.asarray(values, device=ns.device)
        return ns.cast_numpy(values)

    return made
