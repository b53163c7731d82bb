"""Archives: what two readers could understand differently, and what declares more than it has, is refused."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geomkfac.errors import FileFormatError
from geomkfac.interop import read_arrays, write_arrays
from geomkfac.interop.formats import room

ROOT = Path(__file__).parents[3]


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def head(*shape: int) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return file.getvalue()


def archive(path: Path, *members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of a name that stands twice, and writes it.
        with zipfile.ZipFile(path, "w", method) as made:
            for name, content in members:
                made.writestr(name, content)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("name", ["X.npy", "X"])
def test_both_methods_of_numpy_are_read(tmp_path: Path, method: int, name: str) -> None:
    X = np.arange(600_000.0).reshape(3, 200_000).T
    read = read_arrays(archive(tmp_path / "a.npz", (name, npy(X)), method=method))
    assert read.keys() == {"X"}
    assert (read["X"] == X).all()
    assert read["X"].flags.writeable


@pytest.mark.parametrize("names", [("X.npy", "X.npy"), ("X", "X.npy"), ("X.npy", "X")])
def test_one_name_twice_is_refused_with_both(tmp_path: Path, names: tuple[str, str]) -> None:
    path = archive(tmp_path / "a.npz", *((name, npy(np.full(2, index))) for index, name in enumerate(names)))
    with pytest.raises(FileFormatError, match=f"of one name: '{names[0]}' and '{names[1]}'"):
        read_arrays(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_methods_are_refused(tmp_path: Path, method: int) -> None:
    with pytest.raises(FileFormatError, match=r"X\.npy.*compressed by a method"):
        read_arrays(archive(tmp_path / "a.npz", ("X.npy", npy(np.ones(3))), method=method))


def changed(path: Path, signature: bytes, offset: int, value: bytes) -> Path:
    """The first header with that signature, with another field."""
    content = bytearray(path.read_bytes())
    where = content.index(signature) + offset
    content[where : where + len(value)] = value
    path.write_bytes(content)
    return path


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
FIELDS = {
    "encrypted": (CENTRAL, 8, b"\x01\x00", "encrypted"),
    "strongly encrypted": (CENTRAL, 8, b"\x40\x00", "encryption"),
    "patched": (CENTRAL, 8, b"\x20\x00", "patched"),
    "an unknown method": (CENTRAL, 10, b"\x63\x00", "number 99"),
    "a version to come": (CENTRAL, 6, b"\xff\x00", "version"),
    "another checksum": (CENTRAL, 16, b"\x00\x00\x00\x00", "CRC"),
    "a smaller size": (CENTRAL, 24, struct.pack("<I", 150), "CRC"),
    "a larger size": (CENTRAL, 24, struct.pack("<I", 2**31), "takes"),
    "another name": (CENTRAL, 46, b"Y", "differ"),
}


@pytest.mark.parametrize(("signature", "offset", "value", "said"), FIELDS.values(), ids=FIELDS.keys())
def test_a_field_that_says_something_else_is_noticed(
    tmp_path: Path, signature: bytes, offset: int, value: bytes, said: str
) -> None:
    path = archive(tmp_path / "a.npz", ("X.npy", npy(np.arange(20.0))))
    with pytest.raises(FileFormatError, match=said):
        read_arrays(changed(path, signature, offset, value))


END = b"PK\x05\x06"


@pytest.mark.parametrize("kept", [0, 1])
def test_a_damaged_end_does_not_hide_members(tmp_path: Path, kept: int) -> None:
    """With a directory that is said to be shorter zipfile finds the last members alone, or none."""
    path = archive(tmp_path / "a.npz", ("X.npy", npy(np.ones(2))), ("y.npy", npy(np.zeros(2))))
    length = kept * (46 + len("y.npy"))
    changed(path, END, 8, struct.pack("<HHI", kept, kept, length))
    with zipfile.ZipFile(path) as found:
        assert found.namelist() == ["y.npy"][:kept]
    with pytest.raises(FileFormatError, match="bytes before the first member"):
        read_arrays(path)


def test_a_damaged_directory_does_not_hide_members(tmp_path: Path) -> None:
    """An entry with a comment that is said to be longer takes in the next."""
    path = archive(tmp_path / "a.npz", ("X.npy", npy(np.ones(2))), ("y.npy", npy(np.zeros(2))))
    changed(path, CENTRAL, 32, struct.pack("<H", 46 + len("y.npy")))
    with zipfile.ZipFile(path) as found:
        assert found.namelist() == ["X.npy"]
    with pytest.raises(FileFormatError, match="another number of members"):
        read_arrays(path)


def test_what_stands_behind_an_archive_is_not_passed_over(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", ("X.npy", npy(np.ones(2))))
    changed(path, END, 20, b"\x04\x00")
    path.write_bytes(path.read_bytes() + b"more")
    with zipfile.ZipFile(path) as found:
        assert found.namelist() == ["X.npy"]
    with pytest.raises(FileFormatError, match="another number of members"):
        read_arrays(path)


def test_an_archive_without_members_holds_no_arrays(tmp_path: Path) -> None:
    assert read_arrays(archive(tmp_path / "a.npz")) == {}
    write_arrays(tmp_path / "b.npz", {})
    assert read_arrays(tmp_path / "b.npz") == {}


def test_an_archive_that_inflates_to_more_than_it_declares_is_not_followed(tmp_path: Path) -> None:
    """The checksum is that of the first part, so that zipfile has nothing against it either."""
    X = npy(np.arange(4.0))
    path = archive(tmp_path / "a.npz", ("X.npy", X + bytes(50_000_000)), method=zipfile.ZIP_DEFLATED)
    changed(path, CENTRAL, 16, struct.pack("<I", zlib.crc32(X)))
    changed(path, CENTRAL, 24, struct.pack("<I", len(X)))
    assert read_arrays(path)["X"].tolist() == [0, 1, 2, 3]
    changed(path, CENTRAL, 24, struct.pack("<I", len(X) + 8))
    with pytest.raises(FileFormatError, match="CRC"):
        read_arrays(path)


def test_a_small_file_that_declares_much_is_refused_before_memory_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path / "a.npz", ("X.npy", head(10**12, 5) + bytes(2000)))
    monkeypatch.setattr(np, "empty", lambda *a: pytest.fail("memory was asked for"))
    with pytest.raises(FileFormatError, match="takes 40000000000128"):
        read_arrays(path)


def test_more_than_the_free_memory_is_refused_with_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.npz", "a.safetensors"):
        write_arrays(tmp_path / name, {"X": np.zeros(1000), "y": np.zeros(1000)})
        monkeypatch.setattr(room, "free_memory", lambda namespace: 16_000)
        assert read_arrays(tmp_path / name).keys() == {"X", "y"}
        monkeypatch.setattr(room, "free_memory", lambda namespace: 15_999)
        with pytest.raises(FileFormatError, match=r"arrays of 16000 bytes, as it declares, where 15999 are free"):
            read_arrays(tmp_path / name)


@pytest.mark.parametrize("known", [True, False])
def test_a_bomb_is_refused_with_its_size_where_memory_does_not_suffice(tmp_path: Path, known: bool) -> None:
    """4 GB in 2 GiB, whether the system says beforehand that it has no more, or only refuses it."""
    path = archive(tmp_path / "a.npz", ("X.npy", head(1000, 500_000) + bytes(10**6)), method=zipfile.ZIP_DEFLATED)
    changed(path, CENTRAL, 24, struct.pack("<I", 4_000_000_128))
    program = (
        "import resource, sys; from geomkfac.interop import read_arrays; from geomkfac.interop.formats import room\n"
        f"if not {known}: room.free_memory = lambda namespace: None\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
        "try: read_arrays('a.npz')\n"
        "except ValueError as error: print(type(error).__name__, error)\n"
    )
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "FileFormatError" in done.stdout, done.stderr
    assert "4000000000 bytes" in done.stdout or "3.73 GiB" in done.stdout


@pytest.mark.parametrize("key", ["a\0b", "x" * 2**16, "\ud800"])
def test_a_name_that_no_member_can_have_is_refused_when_written(tmp_path: Path, key: str) -> None:
    with pytest.raises(FileFormatError, match="cannot be written"):
        write_arrays(tmp_path / "a.npz", {key: np.ones(1)})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("key", ["", "X.npy", "a/b", "../a", "é", "file", "x" * 65_000])
def test_any_other_name_comes_back(tmp_path: Path, key: str) -> None:
    write_arrays(tmp_path / "a.npz", {key: np.ones(1), "X": np.zeros(2)})
    assert {name: array.tolist() for name, array in read_arrays(tmp_path / "a.npz").items()} == {key: [1], "X": [0, 0]}
