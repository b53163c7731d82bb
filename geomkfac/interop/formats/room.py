"""Whether what a file declares fits into memory."""

from __future__ import annotations

from geomkfac.arrays import floating
from geomkfac.arrays.floats.memory import free_memory


def check_room(size: int) -> None:
    """Raise MemoryError where arrays of `size` bytes are more than the memory that is free, as far as that is known.

    A system may promise more than it has, and end the process that makes use of it.
    """
    free = free_memory(floating.default_namespace)
    if free is not None and size > free:
        raise MemoryError(f"arrays of {size} bytes, as it declares, where {free} are free; data may be mapped instead, "
                          "from a folder of .npy files")  # fmt: skip
