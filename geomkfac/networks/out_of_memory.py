"""What is said where the memory does not suffice for the data that are taken at a time."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from geomkfac.arrays.memory import asked_for, free_memory, is_out_of_memory
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import DeviceMemoryError

__all__ = ["chunk_that_fits", "in_hand"]


@contextmanager
def in_hand(count: int, namespace: Namespace) -> Iterator[None]:
    """While `count` data are read and worked on, exhausted memory says how large a chunk would fit.

    Raises
    ------
    DeviceMemoryError : in place of what the array library raises.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise _exhausted(error, count, namespace) from error


def chunk_that_fits(count: int, used: int | None, asked: int | None, free: int | None) -> int:
    """How many data would fit, where `count` did not: at most half of them, at least one.

    Parameters
    ----------
    used : bytes that the failing chunk held when it failed; None where nobody knows
    asked : bytes that it asked for in vain
    free : bytes that the next chunk may take

    Notes
    -----
    ``(used + asked) / count`` bytes per datum is a lower bound: the chunk failed before its peak.
    """
    most = max(1, count // 2)
    needed = (used or 0) + (asked or 0)
    if free is None or not needed:
        return most
    return max(1, min(most, free * count // needed))


def _exhausted(error: Exception, count: int, namespace: Namespace) -> DeviceMemoryError:
    asked, before = asked_for(error), free_memory(namespace)
    # The arrays of the failing chunk live on in the frames that it failed in.
    traceback.clear_frames(error.__traceback__)
    free = free_memory(namespace)
    used = None if before is None or free is None else max(0, free - before)
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    room = "" if free is None else f", {_in_words(free)} free without them"
    if count == 1:
        advice = "One datum alone does not fit: take a device with more memory, or fisher='sampled'."
    else:
        advice = f"Pass chunk_size={chunk_that_fits(count, used, asked, free)}, or less: results differ by rounding."
    return DeviceMemoryError(
        f"memory is exhausted ({namespace.name}).\n  required: room for one chunk of the data\n"
        f"  came    : {count} data at a time{room}\n  the library says: {said}\n{advice}"
    )


def _in_words(size: int) -> str:
    for unit, power in (("GiB", 30), ("MiB", 20)):
        if size >= 2**power:
            return f"{size / 2**power:.1f} {unit}"
    return f"{size / 2**10:.1f} KiB"
