"""From a limit on memory to how many data, and how many covectors, are taken at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final

from geomkfac.errors import MemoryLimitError, ValuesError
from geomkfac.required import shown

UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}

ENOUGH = 64
"""So many data at a time, if they fit, before covectors are pulled back a few at a time."""


@final
@dataclass(frozen=True, slots=True)
class AtOnce:
    """How many data are taken at a time, and how many covectors of each are pulled back together."""

    data: int
    covectors: int


@final
@dataclass(frozen=True, slots=True)
class Demand:
    """How many numbers a pass needs in memory at most, beyond inputs and weights.

    Attributes
    ----------
    sums : for the sums themselves, while one of them grows
    aside : for what is needed whatever the number of data
    datum : for each datum of a chunk
    covector : for each datum and covector that is pulled back with others
    itemsize : bytes of one number
    """

    sums: int
    aside: int
    datum: int
    covector: int
    itemsize: int


def bytes_of(limit: int | str) -> int:
    """A number of bytes, from an int or from words such as ``"500 MB"`` or ``"2GiB"``.

    Raises
    ------
    ValuesError : it is neither, or not positive.

    Examples
    --------
    >>> bytes_of("1.5 GiB")
    1610612736
    """
    if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
        return limit
    if isinstance(limit, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([a-zA-Z]*)\s*", limit)
        if found and found[2].lower() in UNITS and float(found[1]) * UNITS[found[2].lower()] >= 1:
            return int(float(found[1]) * UNITS[found[2].lower()])
    raise ValuesError(
        "a limit on memory must be a positive number of bytes.\n"
        "  required: an int, or a number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB\n"
        f"  came    : {shown(limit)}\nFor instance '2 GiB'."
    )


def at_once_within(limit: int, demand: Demand, covectors: int, most: AtOnce) -> AtOnce:
    """As many data as fit into `limit` bytes, but not more than `most`.

    Parameters
    ----------
    covectors : that each datum has on the outputs
    most : what is taken without a limit; more would not be faster

    Raises
    ------
    MemoryLimitError : not even the sums fit, or not a single datum beside them.
    """
    size = demand.itemsize
    least = demand.sums * size
    if limit < least:
        raise MemoryLimitError(
            "the limit on memory is too small for the factors themselves.\n"
            f"  required: {in_words(least)} for the sums of which they are made\n  came    : {in_words(limit)}\n"
            "Raise the limit; the number of data does not matter here, the widths of the layers do."
        )
    room = limit // size - demand.sums - demand.aside
    together = max(1, min(covectors, most.covectors))
    data = room // (demand.datum + together * demand.covector)
    if data < ENOUGH and together > 1:
        # Fewer covectors at a time, so that more data fit.
        together = max(1, min(together, (room // ENOUGH - demand.datum) // demand.covector))
        data = room // (demand.datum + together * demand.covector)
    if data < 1:
        one = least + (demand.aside + demand.datum + demand.covector) * size
        raise MemoryLimitError(
            "the limit on memory leaves no room for a single datum beside the factors.\n"
            f"  required: {in_words(one)}, of which {in_words(least)} for the factors\n  came    : {in_words(limit)}\n"
            "Raise the limit."
        )
    return AtOnce(min(data, most.data), together)


def in_words(count: int) -> str:
    """A number of bytes, for people."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"
