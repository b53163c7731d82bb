"""From arrays to the one namespace that computes with all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from geomkfac.arrays.array import Array
from geomkfac.arrays.exact.strict import StrictArray
from geomkfac.arrays.floats.floating import floating
from geomkfac.arrays.namespace import Kind, Namespace
from geomkfac.errors import KindError

_NUMPY: dict[Any, Namespace] = {}


def namespace_of(*arrays: Array) -> Namespace:
    """The namespace of all `arrays` at once.

    Raises
    ------
    KindError
        Where one is no array of a known kind, or where two differ in kind, library, dtype or device.
    """
    if not arrays:
        raise KindError("a namespace belongs to arrays.\n  required: one array or more\n  came    : none")
    first = _namespace_of(arrays[0])
    for position, array in enumerate(arrays[1:], start=2):
        other = _namespace_of(array)
        if other is not first:
            raise KindError(
                "cannot combine arrays of different kinds, libraries, dtypes or devices.\n"
                f"  array 1: {first.name}\n  array {position}: {other.name}\n"
                "Convert one of them on purpose first."
            )
    return first


def kind_of(*arrays: Array) -> Kind:
    """The kind of scalar of all `arrays`.  Raises `KindError` as `namespace_of` does."""
    return namespace_of(*arrays).kind


def _namespace_of(array: Array) -> Namespace:
    if type(array) is np.ndarray:
        namespace = _NUMPY.get(array.dtype)
        if namespace is None:
            namespace = _NUMPY[array.dtype] = floating.namespace_of(array)
        return namespace
    if isinstance(array, StrictArray):
        return array.namespace
    return floating.namespace_of(array)
