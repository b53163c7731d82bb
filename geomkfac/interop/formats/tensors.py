"""Files of safetensors: the length of a JSON header, the header, and the numbers one behind the other.

Source: the format's description, https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import BufferedReader
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from geomkfac.arrays.npy import byte_count, checked_shape, read_numbers
from geomkfac.inputs import parsed_json
from geomkfac.interop.formats.room import check_room

LONGEST = 100_000_000
"""Bytes of a header at most, as the format has it."""
METADATA = "__metadata__"
"""What is not about an array, in a header."""
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "C64": "<c8", "BOOL": "|b1",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1",
}  # fmt: skip
"""NumPy's dtypes; it has none for BF16, whose bits are read as those of integers."""


class _Place(NamedTuple):
    """Where an array stands: it sorts by that."""

    begin: int
    end: int
    name: str
    code: str
    shape: tuple[int, ...]


def read(file: BufferedReader, widen: bool) -> dict[str, Any]:
    """All arrays, by name; those of BF16 as float32, exactly, where they are to be widened.

    Raises
    ------
    ValueError : two have one name, a size is not the one that is declared, or NumPy has no such dtype.
    MemoryError
    """
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, LONGEST):
        raise ValueError(f"a header of {length} bytes in a file of {size}")
    header = parsed_json(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("a header that is no JSON object")
    header.pop(METADATA, None)
    places = sorted(_place(name, entry, widen) for name, entry in header.items())
    end = 0
    for place in places:
        if place.begin != end:
            raise ValueError(f"{place.name[:80]!r} at byte {place.begin} of the numbers, where it must be at {end}")
        end = place.end
    if end != size - 8 - length:
        raise ValueError(f"{size - 8 - length} bytes of numbers, where the header declares {end}")
    check_room(sum((place.end - place.begin) * (2 if place.code == "BF16" else 1) for place in places))
    found = {place.name: _array(file, place) for place in places}
    return {name: found[name] for name in header}


def write(file: BinaryIO, arrays: Mapping[str, Any]) -> None:
    """Write arrays; raises ValueError for a dtype or a name that the format lacks."""
    from safetensors import SafetensorError
    from safetensors.numpy import save

    if METADATA in arrays:
        raise ValueError(f"{METADATA!r} is no name of an array in this format")
    try:
        content = save(dict(arrays))
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    file.write(content)


def _place(name: str, entry: Any, widen: bool) -> _Place:
    """What the header says of one array, checked."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name[:80]!r} is no array: dtype, shape and data_offsets are required")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES:
        raise ValueError(f"{name[:80]!r} is of dtype {str(code)[:80]}, where one of {', '.join(DTYPES)} is required")
    if code == "BF16" and not widen:
        raise ValueError(f"{name[:80]!r} is of dtype BF16, which NumPy lacks; ask for it as float32, exactly: "
                         "widen=True, on the command line --widen")  # fmt: skip
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        raise ValueError(f"{name[:80]!r} has shape {str(shape)[:80]} at {str(offsets)[:80]}, where nonnegative "
                         "integers are required")  # fmt: skip
    dtype = np.dtype(DTYPES[code])
    begin, end = offsets
    if end - begin != byte_count(dtype, checked_shape(dtype, tuple(shape))):
        raise ValueError(f"{name[:80]!r} has {end - begin} bytes, not as many as {code} of shape {shape} takes")
    return _Place(begin, end, name, code, tuple(shape))


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _array(file: BufferedReader, place: _Place) -> Any:
    array = read_numbers(file, np.dtype(DTYPES[place.code]), place.shape)
    if place.code != "BF16":
        return array
    # The upper half of a float32.
    wide = array.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)
