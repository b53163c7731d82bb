"""Memory of the host and of devices: how much is free, and what is said where it does not suffice."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from geomkfac.arrays.floats.floating import FloatingNamespace
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import DeviceMemoryError

_UNITS = {"bytes": 1, "byte": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_ASKED = re.compile(r"(?:allocate|allocating|allocated?:?)\s+([\d.,]+)\s*(bytes?|[KMGT]?iB)", re.IGNORECASE)
_SPENT = ("out of memory", "RESOURCE_EXHAUSTED", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
"""What PyTorch (device, host), JAX and cuBLAS say where they raise a plain RuntimeError."""

_BEYOND = ("Maximum allowed dimension exceeded", "array is too big", "array is too large")
"""What NumPy says, as a ValueError, of arrays that no machine could hold."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of any library says that memory is exhausted.

    Python's and NumPy's is MemoryError, and so is CuPy's; those of PyTorch and JAX are RuntimeErrors.
    """
    if isinstance(error, DeviceMemoryError):
        return False
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, ValueError):
        return any(text in str(error) for text in _BEYOND)
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _SPENT)


def asked_for(error: BaseException) -> int | None:
    """How many bytes the allocation that failed was for, as far as the library says."""
    found = _ASKED.search(str(error))
    if found is None:
        return None
    return round(float(found[1].replace(",", "")) * _UNITS[found[2].lower()])


def free_memory(namespace: Namespace) -> int | None:
    """Bytes that arrays of a namespace can still take on their device; None where nobody says."""
    if not isinstance(namespace, FloatingNamespace) or namespace.place == "cpu":
        return _free_on_host()
    library = namespace.name.split()[0]
    if library == "torch" and namespace.place.startswith("cuda"):
        cuda = import_module("torch").cuda
        # What PyTorch holds and does not use counts as free.
        held = cuda.memory_reserved(namespace.device) - cuda.memory_allocated(namespace.device)
        return int(cuda.mem_get_info(namespace.device)[0]) + int(held)
    if library == "cupy":
        free, _ = namespace.device.mem_info
        return int(free) + int(import_module("cupy").get_default_memory_pool().free_bytes())
    if library == "jax":
        known = namespace.device.memory_stats() or {}
        if {"bytes_limit", "bytes_in_use"} <= known.keys():
            return int(known["bytes_limit"]) - int(known["bytes_in_use"])
    return None


def _free_on_host() -> int | None:
    """What the system has left, or the process of the address space that it may take."""
    try:
        free = _available()
        resource = import_module("resource")
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            free = min(free, limit - pages * os.sysconf("SC_PAGE_SIZE"))
    # Not every system counts its pages, or has limits.
    except (AttributeError, ImportError, OSError, ValueError):
        return None
    return max(0, free)


def _available() -> int:
    """With pages that hold files and can be given back, such as those of mapped data; within a container's limit."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(), re.MULTILINE)
        free = free if found is None else int(found[1]) * 1024
    group = Path("/sys/fs/cgroup")
    try:
        most, used = (group / name for name in ("memory.max", "memory.current"))
        return min(free, int(most.read_text()) - int(used.read_text()))
    # No such group, or one without a limit ("max").
    except (OSError, ValueError):
        return free


@contextmanager
def in_hand(count: int, namespace: Namespace, besides: Callable[[], int]) -> Iterator[None]:
    """While `count` data are read and worked on, exhausted memory says how large a chunk would fit, if any does.

    Parameters
    ----------
    besides : gives how many bytes are needed beside the data, however few these are

    Raises
    ------
    DeviceMemoryError : in place of what the array library raises.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise _exhausted(error, count, namespace, besides) from error


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


def _exhausted(
    error: Exception, count: int, namespace: Namespace, besides: Callable[[], int]
) -> DeviceMemoryError:
    asked, before = asked_for(error), free_memory(namespace)
    # The arrays of the failing chunk live on in the frames that it failed in.
    traceback.clear_frames(error.__traceback__)
    free = free_memory(namespace)
    used = None if before is None or free is None else max(0, free - before)
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    room = "" if free is None else f", {_in_words(free)} free without them"
    fixed = besides()
    if free is not None and fixed > free:
        return DeviceMemoryError(
            f"memory is exhausted ({namespace.name}): the factors themselves do not fit.\n"
            f"  required: {_in_words(fixed)} for the factors, and for the largest once more while it grows\n"
            f"  came    : {_in_words(free)} free\n  the library says: {said}\n"
            "Their size comes of the widths of the layers: no chunk_size helps.  Take more memory, float32 in the "
            "place of float64, or layers that are less wide."
        )
    if count == 1:
        advice = "One datum alone does not fit: take a device with more memory, or fisher='sampled' and few samples."
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
