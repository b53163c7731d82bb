"""NumPy's archives of arrays, ``.npz``: a ZIP file with one ``.npy`` file for each."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection, Mapping
from io import BufferedReader
from typing import Any, BinaryIO, cast

import numpy as np

from geomkfac.arrays.npy import MAGIC, NpyHeader, byte_count, read_header, read_numbers
from geomkfac.interop.formats.room import check_room

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How `numpy.savez` and `numpy.savez_compressed` store a member."""
END = b"PK\x05\x06"
"""The signature of the last 22 bytes, which `zipfile` writes without a comment behind."""
MOST = 2**16 - 1
"""Members that can be counted there; of more they say so many, and others elsewhere."""
LONGEST = 2**16 - 8
"""Bytes of a member's name, with its suffix."""


def read(file: BufferedReader) -> dict[str, Any]:
    """All arrays, by name.

    Raises
    ------
    ValueError : two have one name, a member is no array, or has another size than it declares.
    Exception : whatever else `zipfile` raises; MemoryError.
    """
    start = file.read(len(MAGIC))
    if start == MAGIC:
        raise ValueError("a single array instead of an archive")
    if start[:2] != b"PK":
        raise ValueError("no archive")
    with zipfile.ZipFile(file) as archive:
        members = _named(archive.infolist())
        _check_complete(file, members.values())
        headers = {key: _header(archive, member) for key, member in members.items()}
        check_room(sum(byte_count(header.dtype, header.shape) for header in headers.values()))
        return {key: _array(archive, member, headers[key]) for key, member in members.items()}


def write(file: BinaryIO, arrays: Mapping[str, Any]) -> None:
    """Write arrays; raises ValueError for a name that a member cannot have."""
    for key in arrays:
        if "\0" in key or len(key.encode()) > LONGEST:
            raise ValueError(f"{key[:80]!r} is no name of a member: it is too long, or holds a zero byte")
    # Member by member, and not numpy.savez, whose keyword arguments forbid some keys.
    with zipfile.ZipFile(file, "w") as archive:
        for key, array in arrays.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _check_complete(file: BufferedReader, members: Collection[zipfile.ZipInfo]) -> None:
    """Raise ValueError where zipfile passed over something.

    It looks for members from the end, which counts them, and does not mind what it does not reach, in the middle of a
    directory that is damaged, or before the first.
    """
    size = file.seek(-len(END) - 18, os.SEEK_END)
    end = file.read()
    if end[: len(END)] != END or int.from_bytes(end[10:12], "little") != min(len(members), MOST):
        raise ValueError("another number of members than its end counts")
    begin = min((member.header_offset for member in members), default=size)
    if begin != 0:
        raise ValueError(f"{begin} bytes before the first member")


def _named(members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Members by the names of their arrays: what NumPy calls X is the member X.npy."""
    found: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        key = member.filename.removesuffix(".npy")
        if key in found:
            raise ValueError(f"two arrays of one name: {found[key].filename!r} and {member.filename!r}")
        if member.compress_type not in METHODS:
            raise ValueError(f"{member.filename!r} is compressed by a method (number {member.compress_type}) that "
                             "numpy.savez and numpy.savez_compressed do not use")  # fmt: skip
        found[key] = member
    return found


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NpyHeader:
    with cast(zipfile.ZipExtFile, archive.open(member)) as content:
        if content.peek(len(MAGIC))[: len(MAGIC)] != MAGIC:
            raise ValueError(f"members that are no arrays: {member.filename!r}")
        header = read_header(content)
    header.check(member.file_size)
    return header


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, header: NpyHeader) -> Any:
    with cast(zipfile.ZipExtFile, archive.open(member)) as content:
        # By as much as it declares, and no more, whatever it inflates to; its checksum is compared at that end.
        content.read(header.offset)
        return read_numbers(content, header.dtype, header.shape, header.order)
