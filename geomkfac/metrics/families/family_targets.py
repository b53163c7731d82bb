"""Checks that the output families share, of what a user passed as targets."""

from __future__ import annotations

from typing import Any

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import ShapeError, ValuesError
from geomkfac.required import shown


def dtype_kind(targets: Any) -> str:
    """NumPy's letter for the sort of dtype (``'i'``, ``'u'``, ``'b'``, ``'f'``) of any library, or ``''``."""
    dtype = getattr(targets, "dtype", None)
    # Other libraries' dtypes have no letter, but the same names: torch.int64.
    name = str(dtype).rsplit(".", 1)[-1]
    named = {"int": "i", "uint": "u", "bool": "b", "float": "f"}.get(name.rstrip("0123456789"), "")
    return str(getattr(dtype, "kind", named))


def shape_of(targets: Any) -> tuple[int, ...] | None:
    """The shape as a tuple, or None of what has none."""
    shape = getattr(targets, "shape", None)
    return None if shape is None else tuple(shape)


def as_rows(ns: Namespace, targets: Array, m: int, what: str) -> Array:
    """An array of shape (N, m), from this or, where m is 1, from (N,).

    Raises
    ------
    ShapeError
        For any other shape.
    """
    shape = shape_of(targets)
    if m == 1 and shape is not None and len(shape) == 1:
        return ns.reshape(targets, (shape[0], 1))
    if shape is None or len(shape) != 2 or shape[1] != m:
        raise ShapeError(
            f"{what} must have one row for each datum, one column for each output.\n"
            f"  required: shape (N, {m}){' or (N,)' if m == 1 else ''}\n"
            f"  came    : {shape if shape is not None else type(targets).__name__}\n"
            "Reshape the targets, or place the family on another output space."
        )
    return targets


def refuse_entries(ns: Namespace, bad: Any, values: Any, what: str, required: str, advice: str) -> None:
    """Raise `ValuesError` that shows the first of `values` where the array `bad` is true, if any."""
    if not ns.any(bad):
        return
    # They leave their device for the message alone.
    bad, values = ns.to_numpy(bad), ns.to_numpy(values)
    flat = int(bad.argmax())
    index = []
    for length in reversed(bad.shape):
        flat, position = divmod(flat, length)
        index.append(position)
    where = tuple(reversed(index))
    value = values[where].item()
    raise ValuesError(
        f"{what} {shown(value)} at index {where[0] if len(where) == 1 else where} is not possible.\n"
        f"  required: {required}\n  came    : {shown(value)}\n{advice}"
    )
