"""Which library an array is of, and whether its dtype is one that floating point here has."""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np

from geomkfac.arrays.array import Array


def library_of(array: Array) -> Any:
    """The module with the functions of the array API standard for an array."""
    # From 2.1 on NumPy itself is that module, and array-api-compat's copy of it is slow to import.
    if isinstance(array, np.ndarray | np.generic) and hasattr(np, "cumulative_sum"):
        return np
    return array_api_compat.array_namespace(array)


def is_array(values: Any) -> bool:
    """Whether `values` is an array of a library of the standard; a masked one is none."""
    if isinstance(values, np.ma.MaskedArray):
        return False
    return isinstance(values, np.ndarray | np.generic) or array_api_compat.is_array_api_obj(values)


def is_floating(values: Any) -> bool:
    """Whether `values` is an array of float32 or float64."""
    if not is_array(values):
        return False
    xp = library_of(values)
    return any(values.dtype == dtype for dtype in (xp.float32, xp.float64))


def library_name(xp: Any) -> str:
    """The name of the library whose module `xp` is."""
    return str(xp.__name__).removeprefix("array_api_compat.").split(".")[0]


def dtype_name(dtype: Any) -> str:
    """float32 or float64."""
    return "float32" if "float32" in str(dtype) else "float64"
