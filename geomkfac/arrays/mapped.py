"""Arrays that stay in their files: NumPy's memory maps, read part by part.

A part of a whole map is a place in a file, not numbers: it travels to another process as a path, a dtype and
two row numbers, and is read there.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from geomkfac.arrays.npy import read_header
from geomkfac.errors import FileFormatError


def _head(path: str, length: int) -> bytes:
    with open(path, "rb") as file:
        return file.read(length)


def _unmappable(path: str | os.PathLike[str], required: str, came: object, advice: str) -> FileFormatError:
    return FileFormatError(
        f"{os.fspath(path)!r} cannot be mapped.\n  required: {required}\n  came    : {came}\n{advice}"
    )


def _moved(path: str, error: Exception) -> FileFormatError:
    required = "the file that the sample was made of, on every machine"
    advice = "Keep it where it was, and share its folder with machines that work on it."
    return _unmappable(path, required, error, advice)


def is_mapped(array: Any) -> bool:
    """Whether `array` is a memory map, or a part of one, whose numbers have not been read."""
    return isinstance(array, np.memmap)


@final
@dataclass(frozen=True, slots=True)
class MappedRows:
    """Rows `start` to `stop` of an array in a file.

    Attributes
    ----------
    path : of the file, absolute; a process elsewhere must find the same file there
    dtype : NumPy's description of the dtype
    shape : of the whole array
    offset : bytes before it
    order : 'C' or 'F'
    start, stop : the rows
    head : what stands in the file before the array: a dtype and a shape, in a .npy file
    """

    path: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    order: str
    start: int
    stop: int
    head: bytes

    def read(self) -> Any:
        """The rows as an array (stop - start, ...), a view of the file's pages.

        Raises
        ------
        FileFormatError : as `whole`.
        """
        return np.asarray(self.whole()[self.start : self.stop])

    def whole(self) -> Any:
        """All of the array, as a memory map.

        Raises
        ------
        FileFormatError : the file is not there, or too short.
        """
        try:
            if _head(self.path, self.offset) != self.head:
                raise ValueError("another array stands in it now")
            return np.memmap(self.path, self.dtype, "r", self.offset, self.shape, self.order)  # type: ignore[call-overload]
        except (OSError, ValueError) as error:
            raise _moved(self.path, error) from error


def rows_of(array: Any, start: int, stop: int) -> Any:
    """Rows of an array: `MappedRows` of a whole memory map, else the rows themselves."""
    if is_mapped(array):
        whole = isinstance(array.base, mmap.mmap) and array.flags.forc and array.filename is not None
        # What was written to a copy (mode 'c') stands in memory alone.
        if whole and array.mode != "c":
            order = "C" if array.flags.c_contiguous else "F"
            path = os.path.abspath(array.filename)
            try:
                head = _head(path, array.offset)
            except OSError as error:
                raise _moved(path, error) from error
            return MappedRows(path, array.dtype.str, array.shape, array.offset, order, start, stop, head)
        # A part of a map has forgotten where in its file it stands.
        return np.asarray(array[start:stop])
    return array[start:stop]


def read_rows(rows: Any) -> Any:
    """What `rows_of` gave, as arrays."""
    return rows.read() if isinstance(rows, MappedRows) else rows


def mapped_again(rows: Any) -> Any:
    """What `rows_of` gave of all rows: a memory map again, or the array."""
    return rows.whole() if isinstance(rows, MappedRows) else rows


def in_memory(array: Any) -> Any:
    """A part of a memory map as an array, which is read where it is used."""
    return np.asarray(array)


def open_mapped(path: str | os.PathLike[str]) -> Any:
    """The array of a ``.npy`` file as a read-only memory map: nothing is read yet.

    Raises
    ------
    FileFormatError : the file is missing, damaged, of another size than it declares, or holds no numbers.
    """
    try:
        with open(path, "rb") as file:
            header = read_header(file)
            header.check(os.fstat(file.fileno()).st_size)
        # By its name, which another process that works on it opens.
        return np.memmap(path, header.dtype, "r", header.offset, header.shape, header.order)  # type: ignore[call-overload]
    except (OSError, ValueError) as error:
        advice = "Write it with numpy.save, or with numpy.lib.format.open_memmap where it is large."
        raise _unmappable(path, "a complete .npy file of numbers", error, advice) from error
