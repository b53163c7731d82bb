"""The header of a ``.npy`` file, read strictly: NumPy's own reader takes what it says for true, and asks for memory.

Source: NumPy's ``numpy.lib.format``, versions 1.0 to 3.0.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Any, final

import numpy as np

MAGIC = b"\x93NUMPY"
KINDS = "biufcSU"
"""Of NumPy's dtypes: booleans, integers, floating-point and complex numbers, text."""
LONGEST = 10_000
"""Bytes of a header at most, as NumPy has it."""
LARGEST, MOST_AXES = 2**63 - 1, 64

_ENTRY = re.compile(
    r"""\s*(?P<quote>['"])(?P<name>\w+)(?P=quote)\s*:\s*(?P<value>'[^']*'|"[^"]*"|\w+|\([^()]*\))\s*(?:,|\Z)"""
)
_SHAPE = re.compile(r"\(\s*\)|\((?:\s*[0-9]{1,19}L?\s*,)+(?:\s*[0-9]{1,19}L?)?\s*\)")
"""Of one entry it has its comma; Python 2 wrote an L after a long integer."""
_DTYPE = re.compile(r"""['"][<>|=]?(?P<kind>[a-zA-Z])(?P<size>[0-9]{1,9})['"]""")


@final
@dataclass(frozen=True, slots=True)
class NpyHeader:
    """What a header declares.

    Attributes
    ----------
    dtype : numpy.dtype, of numbers or text
    shape : of the array
    order : 'C' or 'F'
    offset : bytes of the header, after which the array begins
    """

    dtype: Any
    shape: tuple[int, ...]
    order: str
    offset: int

    def check(self, size: int) -> None:
        """Raise ValueError unless header and array have `size` bytes together."""
        declared = self.offset + byte_count(self.dtype, self.shape)
        if declared != size:
            raise ValueError(f"{size} bytes, where {self.dtype} of shape {self.shape} takes {declared}")


def read_header(file: BufferedIOBase) -> NpyHeader:
    """The header at the beginning of a file, which stands at the array afterwards.

    Raises
    ------
    ValueError : it is none, or not that of an array of numbers or text.
    """
    magic = file.read(8)
    if magic[:6] != MAGIC or len(magic) < 8:
        raise ValueError("no .npy array")
    if magic[6:] not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        raise ValueError(f".npy version {magic[6]}.{magic[7]}, where 1.0, 2.0 and 3.0 are known")
    digits = 2 if magic[6] == 1 else 4
    length = int.from_bytes(file.read(digits), "little")
    if length > LONGEST:
        raise ValueError(f"a header of {length} bytes, where {LONGEST} are the most")
    text = file.read(length)
    if len(text) < length:
        raise ValueError("a header that is cut")
    # UTF-8 in version 3.0, Latin-1 before; but an array of numbers needs neither.
    entries = _entries(text.decode("ascii"))
    order = {"False": "C", "True": "F"}.get(entries["fortran_order"])
    if order is None:
        raise ValueError(f"fortran_order {entries['fortran_order'][:40]}, where True or False is required")
    dtype, shape = _dtype(entries["descr"]), _shape(entries["shape"])
    return NpyHeader(dtype, checked_shape(dtype, shape), order, 8 + digits + length)


def byte_count(dtype: Any, shape: tuple[int, ...]) -> int:
    """Bytes of an array."""
    return math.prod(shape) * int(dtype.itemsize)


def checked_shape(dtype: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape, of sizes that are no less than 0; raises ValueError where no array has it."""
    # Also of an array without entries NumPy multiplies the sizes that are not 0.
    if len(shape) > MOST_AXES or math.prod(max(1, size) for size in shape) * dtype.itemsize > LARGEST:
        raise ValueError(f"{len(shape)} axes of more entries than any memory holds: {str(shape)[:80]}")
    return shape


def read_numbers(file: BufferedIOBase, dtype: Any, shape: tuple[int, ...], order: str = "C") -> Any:
    """The next numbers of a file, as an array.

    Raises
    ------
    ValueError : the file ends before, or a truth value is neither 0 nor 1.
    MemoryError : there is not that much.
    """
    array: Any = np.empty(shape, dtype, order)  # type: ignore[call-overload]
    content = array.ravel("K").view(np.uint8)
    step = 1 << 20
    for start in range(0, content.size, step):
        piece = content[start : start + step]
        if file.readinto(piece) != piece.size:
            raise ValueError(f"it ends after less than the {content.size} bytes that it declares")
    if array.dtype.kind == "b" and (content > 1).any():
        raise ValueError("truth values that are neither 0 nor 1")
    return array


def _entries(text: str) -> dict[str, str]:
    """The three entries of a header, each once, as text."""
    inside = text.strip()
    if inside[:1] != "{" or inside[-1:] != "}" or not text.replace("\n", " ").isprintable():
        raise ValueError(f"a header that is no dictionary: {text[:80]!r}")
    inside, place, found = inside[1:-1], 0, {}
    while inside[place:].strip():
        entry = _ENTRY.match(inside, place)
        if entry is None or entry["name"] in found:
            raise ValueError(f"a header that is not of an array of numbers: {text[:80]!r}")
        found[entry["name"]], place = entry["value"], entry.end()
    if found.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError(f"a header with other entries than descr, fortran_order and shape: {text[:80]!r}")
    return found


def _dtype(text: str) -> Any:
    described = _DTYPE.fullmatch(text)
    if described is not None and described["kind"] in KINDS:
        try:
            dtype = np.dtype(text[1:-1])
        except (TypeError, ValueError):
            pass
        else:
            # A character of U has four bytes, and one of no characters would be made one of some.
            size = int(described["size"]) * (4 if described["kind"] == "U" else 1)
            if dtype.itemsize == size > 0:
                return dtype
    raise ValueError(f"dtype {text[:80]}, where numbers or text are required")


def _shape(text: str) -> tuple[int, ...]:
    if _SHAPE.fullmatch(text) is None:
        raise ValueError(f"shape {text[:80]}, where a tuple of nonnegative integers is required")
    return tuple(map(int, re.findall("[0-9]+", text)))
