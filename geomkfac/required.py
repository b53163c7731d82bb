"""What a value must be, and what a message shows of one that is not.

A value that was refused may be anything: an array of a million numbers, a string as long as a file, an object whose
own `repr` fails.  A message shows a line of it, which takes no longer for a large value than for a small one.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from reprlib import Repr
from typing import Any

from geomkfac.errors import GeomkfacError, KindError, SpaceMismatchError

FEW = 8
"""So many numbers of an array are shown; of a larger one its shape."""
LONGEST_INT = 128
"""Bits of an int that is written out; Python itself refuses to write some thousand digits."""


def shown(value: object) -> str:
    """What a message shows of a value: its `repr` where that is short.

    Examples
    --------
    >>> shown("tanh"), shown([1, 2.5, None])
    ("'tanh'", '[1, 2.5, None]')
    >>> import numpy as np
    >>> shown(np.zeros((2, 500)))
    'ndarray of shape (2, 500), float64'
    """
    try:
        return _SHORT.repr(value)
    except Exception:  # A repr is the user's code too, and an error about it would hide the one that is told.
        return f"<{type(value).__name__}>"


def check_type(
    what: str,
    value: object,
    kind: type | tuple[type, ...],
    advice: str = "",
    error: type[GeomkfacError] = SpaceMismatchError,
) -> None:
    """Refuse a `value` that is no instance of `kind`.

    Parameters
    ----------
    what : what the value is for, as the error begins: ``"the metric that is pulled back"``
    kind : a class, or several
    advice : what to do
    error : the error to raise

    Examples
    --------
    >>> check_type("the path", 3, str, "Name a file.")
    Traceback (most recent call last):
    geomkfac.errors.SpaceMismatchError: the path is of another type.
      required: str
      came    : int, 3
    Name a file.
    """
    if not isinstance(value, kind):
        required = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
        raise error(
            f"{what} is of another type.\n  required: {required}\n"
            f"  came    : {type(value).__name__}, {shown(value)}" + (advice and f"\n{advice}")
        )


def listed(what: str, values: object, error: type[GeomkfacError] = KindError) -> list[Any]:
    """The `values`, which come one after the other, as a list; text does not.

    Examples
    --------
    >>> listed("the widths", (3, 2))
    [3, 2]
    """
    if isinstance(values, Iterable) and not isinstance(values, str | bytes):
        try:
            return list(values)
        except TypeError:  # An array of no axes says that it can be walked through.
            pass
    raise error(
        f"{what} must come one after the other.\n  required: a list or tuple of them\n"
        f"  came    : {type(values).__name__}, {shown(values)}"
    )


def check_pickles(what: str, value: object) -> None:
    """Refuse what cannot be sent to another process: a function that pickle cannot name, an open file.

    Raises
    ------
    KindError
    """
    try:
        pickle.dumps(value)
    except Exception as error:  # Each library has exceptions of its own for what it cannot pickle.
        raise KindError(
            f"{what} cannot be pickled.\n  required: what pickle can name, such as a function at the top of a file\n"
            f"  came    : {shown(value)} ({shown(error)})\nOr make the object where it is used."
        ) from error


class _Short(Repr):
    """Reprs of a line, also of what is within lists, tuples and dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, 200, 400

    def repr1(self, x: Any, level: int) -> str:
        shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", None)
        if isinstance(shape, tuple) and dtype is not None and not isinstance(x, type):
            size = 1
            for length in shape:
                size *= length
            if size > FEW or len(shape) > 2:
                return f"{type(x).__name__} of shape {tuple(shape)}, {dtype}"
            return self.repr_instance(x, level)
        return super().repr1(x, level)

    def repr_int(self, x: int, level: int) -> str:
        return repr(x) if x.bit_length() <= LONGEST_INT else f"an int of {x.bit_length()} bits"

    def repr_instance(self, x: object, level: int) -> str:
        text = repr(x)
        return text if len(text) <= self.maxother else f"{text[: self.maxother]}..."


_SHORT = _Short()
