"""Files that are written all or nothing: beside what is there, and then moved into its place.

Whatever fails on the way, a full disk or an interruption, leaves what was there before and no part of the new.  A
process that is killed may leave its half-written file, whose name begins with a dot and ends in ``.tmp``; the next one
that writes to the same place removes it, once it is so old that it is nobody's.
"""

from __future__ import annotations

import errno
import glob
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from geomkfac.errors import FileFormatError

ABANDONED = 3600.0
"""Seconds after which a file that was left half written is nobody's."""
LONGEST = 50
"""Characters of a file's name in that of the file beside it: a name has 255 bytes at most."""


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write into, which is on the disk and in the place of `path` when the block ends, and not before.

    A link stays, and what it points to is replaced.  A device, a pipe and ``/dev/stdout`` are written to directly.

    Raises
    ------
    FileFormatError : it cannot be written: no such folder, no permission, no space, a folder of that name.
    """
    name = os.fspath(path)
    try:
        with open(name, "wb") if _is_stream(name) else _beside(os.path.realpath(name)) as file:
            yield file
    except FileFormatError:
        raise
    # A ValueError is Python's answer to a path that no system takes.
    except (OSError, ValueError) as error:
        raise FileFormatError(
            f"{name!r} cannot be written.\n"
            "  required: a file in a folder that exists and can be written to, with room for it\n"
            f"  came    : {error}\n"
            "What was there before is as it was."
        ) from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write text, in UTF-8, as `replacing` does, which says what it raises."""
    with replacing(path) as file:
        file.write(text.encode())


def _is_stream(path: str) -> bool:
    """Whether nothing can be moved there: what is no file, and what this process has open under a number."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        return True
    while True:
        folder = os.path.realpath(os.path.dirname(path))
        # /dev/stdout, /dev/fd/1 and /proc/self/fd/1 are links to one file, which others may have open as well.
        if folder.startswith(("/proc/", "/dev/fd")):
            return True
        if not os.path.islink(path):
            return False
        path = os.path.join(folder, os.readlink(path))


@contextmanager
def _beside(target: str) -> Iterator[BinaryIO]:
    """A new file in the same folder, which takes the place of `target`, with its permissions, when the block ends."""
    there = os.path.exists(target)
    if there and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), target)
    folder, name = os.path.split(target)
    stem = os.path.join(folder, f".{name[:LONGEST]}.")
    _remove_abandoned(stem)
    temporary = f"{stem}{secrets.token_hex(8)}.tmp"
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            # Else a machine that loses its power may keep the new name and lose what it names.
            os.fsync(file.fileno())
        if there:
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _remove_abandoned(stem: str) -> None:
    for left in glob.glob(glob.escape(stem) + "[0-9a-f]" * 16 + ".tmp"):
        with suppress(OSError):
            if time.time() - os.stat(left).st_mtime > ABANDONED:
                os.unlink(left)
