"""What the doors of the array layer say to arrays that they do not let in."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from geomkfac.errors import KindError, ValuesError
from geomkfac.required import shown

_SUMS = "factors are sums over the data, and are solved with: both need more."
_NARROW = {
    "float16": f"float16 keeps 3 digits and overflows at 65504; {_SUMS}",
    "bfloat16": f"bfloat16 keeps 2 digits; {_SUMS}",
}
"""Dtypes that are refused for their precision, and why."""


def describe(values: Any) -> str:
    """What `values` is, for a message: its type and, for arrays, dtype and shape."""
    kind = type(values)
    room = kind.__module__.split(".")[0]
    name = kind.__name__ if room == "builtins" else f"{room}.{kind.__name__}"
    if hasattr(values, "dtype") and hasattr(values, "shape"):
        return f"{name} of dtype {values.dtype} and shape {tuple(values.shape)}"
    if isinstance(values, bool | int | float | complex | str):
        return f"{name} {shown(values)}"
    return name


def refuse_array(values: Any, what: str, required: str) -> NoReturn:
    """Refuse `values`, called `what`, where an array as `required` is needed."""
    raise KindError(
        f"{what} must be an array of floating-point numbers.\n"
        f"  required: {required}\n  came    : {describe(values)}\n"
        f"{_advice(values)}"
    )


def _advice(values: Any) -> str:
    if isinstance(values, np.ma.MaskedArray):
        return "Fill the masked entries, or leave their rows out: a mask would be lost silently."
    if hasattr(values, "to_numpy"):
        return "Convert it with .to_numpy()."
    if hasattr(values, "dtype"):
        dtype = str(values.dtype)
        if "complex" in dtype:
            return "Spaces are over the reals: pass real and imaginary parts as coordinates of their own."
        if dtype == "object":
            return "Convert it with .astype(float); exact numbers need a space over Q or GF(p)."
        narrow = dtype.rsplit(".", maxsplit=1)[-1]
        if narrow in _NARROW:
            convert = "x.to(torch.float32)" if dtype.startswith("torch.") else "x.astype('float32')"
            return f"{_NARROW[narrow]}  Convert it with {convert}."
        if dtype.startswith("torch."):
            return "Convert it with .to(torch.float32) or .to(torch.float64)."
        if "float" in dtype or dtype[:1] in "<>":
            return "Convert it with .astype('float32') or .astype('float64')."
        return "Convert integers with .astype(float), or np.asarray(..., dtype=float64)."
    if isinstance(values, list | tuple | bool | int | float):
        return "Make it an array first: np.asarray(..., dtype=float64)."
    return "Pass an array of NumPy, CuPy, PyTorch, JAX or another library of the array API standard."


def refuse_mixture(what: str, required: str, came: str) -> NoReturn:
    """Refuse an array of the namespace `came` where one of the namespace `required` is needed."""
    raise KindError(
        f"{what} is of another kind, array library, dtype or device.\n"
        f"  required: {required}\n  came    : {came}\n"
        "Convert one of them on purpose first: with astype for the dtype, in its library for the rest."
    )


def refuse_integers(values: Any, what: str, required: str, place: str = "") -> NoReturn:
    """Refuse integers that are neither NumPy's nor of the library and device of the namespace `required`."""
    raise KindError(
        f"{what} must be integers of NumPy, or of the library and device that compute.\n"
        f"  required: an integer array of NumPy, or beside {required}\n  came    : {describe(values)}{place}\n"
        "Move them on purpose first, or pass them as a NumPy array: those are moved chunk by chunk."
    )


def refuse_values(values: Any, what: str) -> NoReturn:
    """Refuse an array that holds NaN or infinities."""
    wrong = ~np.isfinite(values)
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    raise ValuesError(
        f"{what} must hold finite numbers.\n  required: no NaN, no infinity\n"
        f"  came    : {int(wrong.sum())} of {wrong.size} entries are not finite; "
        f"the first is {values[first]} at index {first}\n"
        "Remove or repair these entries."
    )
