"""Data larger than memory: a folder of ``.npy`` files that are mapped, not read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from geomkfac.arrays.mapped import in_memory, open_mapped
from geomkfac.errors import FileFormatError, ShapeError
from geomkfac.interop.files import PathLike, check_data


def open_data(folder: PathLike, *, ndim: int = 2) -> tuple[Any, Any, Any]:
    """The inputs, targets and perhaps lengths in a folder, as memory maps: nothing is read yet.

    Parameters
    ----------
    folder : with ``X.npy`` (N, ...), ``y.npy`` (N, ...), and perhaps ``lengths.npy`` (N,)
    ndim : number of axes of X: 2 for data (N, n), 3 for sequences (N, T, n), 3 or more for maps

    Returns
    -------
    X, y, lengths : memory maps, and lengths as an array of integers (N,), or None

    Raises
    ------
    FileFormatError : a file is missing, or is no array of numbers.
    ShapeError : X has another number of axes, or y another number of rows.
    """
    folder = Path(folder)
    for name in ("X.npy", "y.npy"):
        if not (folder / name).is_file():
            there = ", ".join(sorted(os.listdir(folder))[:8]) if folder.is_dir() else "no such folder"
            raise FileFormatError(
                f"{os.fspath(folder)!r} holds no {name}.\n  required: X.npy and y.npy, and perhaps lengths.npy\n"
                f"  came    : {there or 'an empty folder'}\nWrite them with numpy.save."
            )
    X, y = open_mapped(folder / "X.npy"), open_mapped(folder / "y.npy")
    check_data(X, y, ndim)
    lengths = folder / "lengths.npy"
    if not lengths.is_file():
        return X, y, None
    steps = in_memory(open_mapped(lengths))
    if steps.shape != (X.shape[0],) or steps.dtype.kind not in "iu":
        raise ShapeError(
            f"{os.fspath(lengths)!r} does not hold the lengths of these sequences.\n"
            f"  required: integers of shape ({X.shape[0]},)\n  came    : {steps.dtype} of shape {steps.shape}\n"
            "Write one length for every sequence."
        )
    return X, y, steps
