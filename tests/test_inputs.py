"""Text and JSON in files: what is not there, is no text, or says something twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from geomkfac.errors import FileFormatError
from geomkfac.inputs import parsed_json, read_json, read_text


def test_what_a_file_says_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"é": [1, {"é": null}], "b": {"é": 2.5}}', encoding="utf-8")
    assert read_text(tmp_path / "a").startswith('{"é"')
    assert read_json(tmp_path / "a") == {"é": [1, {"é": None}], "b": {"é": 2.5}}


@pytest.mark.parametrize("name", ["missing", "folder", "missing/missing", "with\0zero", "x" * 300])
@pytest.mark.parametrize("read", [read_text, read_json])
def test_what_cannot_be_opened_is_refused(tmp_path: Path, name: str, read: object) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileFormatError, match="cannot be read"):
        read(tmp_path / name)  # type: ignore[operator]


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\xfe")
    with pytest.raises(FileFormatError, match="required: a text file in UTF-8"):
        read_text(tmp_path / "a")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting"),
        (b"\xff", "utf-8"),
        (b'{"a": 1, "b": 2, "a": 1}', "the name 'a' twice"),
        (b'[{"b": {"a": 1, "a": 2}}]', "the name 'a' twice"),
        (b'{"' + b"x" * 9999 + b'": 1, "' + b"x" * 9999 + b'": 1}', "the name 'x{80}' twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"9" * 5000, "digits"),
    ],
)
def test_what_is_no_document_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        parsed_json(content)
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(FileFormatError, match=said):
        read_json(tmp_path / "a")
