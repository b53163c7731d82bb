"""Numbers of things: ints that are no bools, and not too small."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

from geomkfac.errors import ValuesError
from geomkfac.required import shown


def as_float(value: Any) -> float:
    """A real number as a float; infinite where it is beyond all floats, as 10**400 is."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def is_count(value: Any, least: int = 1) -> TypeGuard[int]:
    """Whether `value` is an int, no bool, and at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def checked_count(what: str, value: Any, least: int = 1, advice: str = "") -> int:
    """The `value`, if it is an int of at least `least`.

    Parameters
    ----------
    what : what is counted, as the error begins: ``"the number of workers"``
    least : 1 for a positive int, 0 for a nonnegative one
    advice : what to do, where the requirement does not say it

    Raises
    ------
    ValuesError : it is none; a bool is none, and nothing is rounded.

    Examples
    --------
    >>> checked_count("the number of workers", 0)
    Traceback (most recent call last):
    geomkfac.errors.ValuesError: the number of workers must be a positive int, not 0.
    """
    if is_count(value, least):
        return value
    required = {0: "a nonnegative int", 1: "a positive int"}.get(least, f"an int, {least} or more")
    raise ValuesError(f"{what} must be {required}, not {shown(value)}." + (f"\n{advice}" if advice else ""))
