"""Text and JSON in files, read strictly."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from geomkfac.errors import FileFormatError

T = TypeVar("T")


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file, in UTF-8.

    Raises
    ------
    FileFormatError : it is not there, cannot be read, or is no text.
    """
    return _read(path, bytes.decode, "a text file in UTF-8")


def read_json(path: str | os.PathLike[str]) -> Any:
    """The JSON document in a file.

    Raises
    ------
    FileFormatError : it is not there, cannot be read, or is no JSON in which every name stands once.
    """
    return _read(path, parsed_json, "a JSON document")


def parsed_json(content: bytes) -> Any:
    """A JSON document, in UTF-8, in which every name stands once.

    Raises
    ------
    ValueError : it is none, or one that is nested too deeply; the message says where.
    """
    try:
        return json.loads(content.decode(), object_pairs_hook=_named_once)
    except RecursionError as error:
        raise ValueError("brackets nested too deeply") from error


def _read(path: str | os.PathLike[str], parse: Callable[[bytes], T], required: str) -> T:
    try:
        return parse(Path(path).read_bytes())
    except (OSError, ValueError, MemoryError) as error:
        raise FileFormatError(
            f"{os.fspath(path)!r} cannot be read.\n  required: {required}\n"
            f"  came    : {error or 'more than fits into memory'}\nName another file, or make this one again."
        ) from error


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {name[:80]!r} twice in one object")
        found[name] = value
    return found
