"""Damage to files, drawn by Hypothesis: bits flipped, parts cut, repeated or spliced, fields and words changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

LANDMARKS = re.compile(rb"PK\x01\x02|PK\x03\x04|PK\x05\x06|PK\x06\x06|\x93NUMPY|[{}\[\]():,'\"]")
"""Where structure begins, in archives and in headers."""
WORDS = re.compile(rb"[A-Za-z_]+|[0-9]+|[^\s\w]")
NUMBERS = [0, 1, 2, 8, 9, 14, 20, 0x7F, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1]
REPLACEMENTS = [
    b"", b"True", b"None", b"null", b"NaN", b"Infinity", b"-1", b"0", b"1", b"2", b"1.0", b"1e5", b"1" + b"0" * 12,
    b"1" + b"0" * 23, b"9" * 5000, b"(", b"(" * 400, b"[" * 5000, b'{"a":' * 3000, b"-" * 5000, b"'", b'"', b"{}",
    b"[]", b"()", b"\\", b"\\ud800", b"\0", b"\xff", "é²".encode(), b"O", b"V1000000000", b"U4", b"S8", b"f8", b"f2",
    b"i8", b">", b"BF16", b"F16", b"F32", b"F8_E4M3", b"F4", b"I64", b"BOOL", b"C64", b"X", b"y", b"weight",
    b"shape", b"descr",
]  # fmt: skip
"""In the place of a word."""


@st.composite
def damaged(draw: Draw, content: bytes, other: bytes = b"", begin: int = 0, end: int | None = None) -> bytes:
    """Some bytes, of which those from `begin` to `end` are damaged one to three times, perhaps with parts of others."""
    before, after = content[:begin], content[len(content) if end is None else end :]
    inside = content[begin : len(content) - len(after)]
    for _ in range(draw(st.integers(1, 3))):
        inside = draw(st.sampled_from(DAMAGES))(draw, inside, other)
    return before + inside + after


def _place(draw: Draw, content: bytes) -> int:
    """Anywhere, or a little behind a landmark."""
    landmarks = [found.start() for found in LANDMARKS.finditer(content)] if draw(st.booleans()) else []
    if landmarks:
        return min(len(content), draw(st.sampled_from(landmarks)) + draw(st.integers(0, 50)))
    return int(draw(st.integers(0, len(content))))


def _flip(draw: Draw, content: bytes, other: bytes) -> bytes:
    place, changed = _place(draw, content), bytearray(content)
    if place < len(content):
        changed[place] ^= 1 << draw(st.integers(0, 7))
    return bytes(changed)


def _field(draw: Draw, content: bytes, other: bytes) -> bytes:
    place, size = _place(draw, content), draw(st.sampled_from([1, 2, 4, 8]))
    value = draw(st.sampled_from(NUMBERS)) % 2 ** (8 * size)
    return content[:place] + value.to_bytes(size, "little") + content[place + size :]


def _cut(draw: Draw, content: bytes, other: bytes) -> bytes:
    first, last = sorted((_place(draw, content), _place(draw, content)))
    return content[:first] + content[last:]


def _end(draw: Draw, content: bytes, other: bytes) -> bytes:
    place = _place(draw, content)
    return content[:place] if draw(st.booleans()) else content[place:]


def _repeat(draw: Draw, content: bytes, other: bytes) -> bytes:
    first, last = sorted((_place(draw, content), _place(draw, content)))
    return content[:last] + content[first:]


def _splice(draw: Draw, content: bytes, other: bytes) -> bytes:
    return content[: _place(draw, content)] + other[_place(draw, other) :]


def _word(draw: Draw, content: bytes, other: bytes) -> bytes:
    words = list(WORDS.finditer(content[:2000]))
    if not words:
        return content
    word = draw(st.sampled_from(words))
    return content[: word.start()] + draw(st.sampled_from(REPLACEMENTS)) + content[word.end() :]


@st.composite
def altered(draw: Draw, document: Any) -> Any:
    """Plain data as JSON has them, of which one value is another, or gone."""
    if isinstance(document, dict | list) and document and draw(st.integers(0, 9)):
        copy: Any = document.copy()
        key = draw(st.sampled_from(sorted(copy) if isinstance(copy, dict) else range(len(copy))))
        if draw(st.integers(0, 9)):
            copy[key] = draw(altered(copy[key]))
        else:
            del copy[key]
        return copy
    return draw(st.sampled_from(VALUES))


VALUES: list[Any] = [None, True, False, 0, -1, 2, 1.5, -0.0, float("nan"), float("inf"), "", "invariant", "nan", "<b>",
                     "\ud800", "x" * 3000, [], [1], [[]], {}, {"a": 1}, {"": {}}]  # fmt: skip
"""In the place of a value."""
DAMAGES = [_flip, _field, _cut, _end, _repeat, _splice, _word]
