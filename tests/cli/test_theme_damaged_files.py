"""Whatever file a command is given, it ends with status 2 and a message, and leaves no file."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geomkfac.interop import read_arrays, write_arrays

CATEGORICAL = ("--activation", "tanh", "--output", "categorical")
Run = Callable[..., Any]


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def with_header(text: str, numbers: int = 64) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(numbers)


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as made:
        warnings.simplefilter("ignore")
        for name, content in members:
            made.writestr(name, content)
    return file.getvalue()


def field(content: bytes, offset: int, value: bytes) -> bytes:
    """An archive with another field in the first entry of its directory."""
    place = content.index(b"PK\x01\x02") + offset
    return content[:place] + value + content[place + len(value) :]


def tensors(header: str, numbers: int = 24) -> bytes:
    return struct.pack("<Q", len(header)) + header.encode() + bytes(numbers)


X, Y = npy(np.ones((4, 5))), npy(np.zeros(4, dtype=int))
WHOLE = archive(("X.npy", X), ("y.npy", Y))
DAMAGED: dict[str, tuple[str, bytes]] = {
    "a header that is cut": (".npz", archive(("X.npy", with_header("{'descr': '<f8', 'shape': (40, 5")))),
    "a header that is indented": (".npz", archive(("X.npy", with_header("  {\n 'descr'\n  : ")))),
    "a header of minus signs": (".npz", archive(("X.npy", with_header("-" * 5000)))),
    "sizes of truth values": (".npz", archive(("X.npy", X.replace(b"(4, 5)", b"(True,")))),
    "a terabyte": (".npz", archive(("X.npy", with_header(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 5), }")))),
    "a gigabyte of one entry": (".npz", archive(("X.npy", with_header(
        "{'descr': '<V1000000000', 'fortran_order': False, 'shape': (1,), }")))),
    "a header of 4 GB": (".npz", archive(("X.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(64)))),
    "an encrypted archive": (".npz", field(WHOLE, 8, b"\x01\x00")),
    "strong encryption": (".npz", field(WHOLE, 8, b"\x41\x00")),
    "an unknown method": (".npz", field(WHOLE, 10, b"\x63\x00")),
    "a damaged LZMA archive": (".npz", archive(("X.npy", X), method=zipfile.ZIP_LZMA).replace(X[:9], b"\xff" * 9)),
    "X twice": (".npz", archive(("X.npy", X), ("X.npy", X), ("y.npy", Y))),
    "X and X.npy": (".npz", archive(("X", X), ("X.npy", X), ("y.npy", Y))),
    "two kinds of keys": (".npz", archive(("X.npy", with_header("{'descr': '<f8', 1: False, 'shape': (4,), }")))),
    "bfloat16": (".safetensors", tensors('{"X": {"dtype": "BF16", "shape": [4, 3], "data_offsets": [0, 24]}}')),
    "eight bits": (".safetensors", tensors('{"X": {"dtype": "F8_E5M2", "shape": [4, 6], "data_offsets": [0, 24]}}')),
    "four bits": (".safetensors", tensors('{"X": {"dtype": "F4", "shape": [4, 12], "data_offsets": [0, 24]}}')),
    "a name twice": (".safetensors", tensors('{"X": 1, "X": 2}')),
    "deep brackets": (".safetensors", tensors("[" * 100_000)),
}  # fmt: skip


@pytest.mark.parametrize(("suffix", "content"), DAMAGED.values(), ids=DAMAGED.keys())
@pytest.mark.parametrize("place", ["network", "data"])
def test_a_damaged_file_is_refused(geomkfac: Run, files: Path, place: str, suffix: str, content: bytes) -> None:
    path, out = files / f"damaged{suffix}", files / "out.npz"
    path.write_bytes(content)
    pair = (path, files / "data.npz") if place == "network" else (files / "network.npz", path)
    before = set(files.rglob("*"))
    finished = geomkfac("factors", *pair, *CATEGORICAL, "--out", out)
    assert finished.status == 2, finished.output
    assert f"{path.name}' cannot be read" in finished.error
    assert set(files.rglob("*")) == before



@pytest.mark.parametrize("array", ["X", "y"])
@pytest.mark.parametrize("header", ["{'descr': '<f8', 'shape': (40, 5", "-" * 5000, "{1: 2, 'descr': '<f8'}"])
def test_a_folder_with_a_damaged_header_is_refused(geomkfac: Run, files: Path, array: str, header: str) -> None:
    (files / "data").mkdir()
    np.save(files / "data" / "X.npy", np.ones((4, 5)))
    np.save(files / "data" / "y.npy", np.zeros(4, dtype=int))
    (files / "data" / f"{array}.npy").write_bytes(with_header(header))
    finished = geomkfac("factors", files / "network.npz", files / "data", *CATEGORICAL)
    assert finished.status == 2
    assert f"{array}.npy' cannot be mapped" in finished.error


def test_a_state_with_deep_brackets_is_refused(geomkfac: Run, files: Path) -> None:
    words = ("factors", files / "network.npz", files / "data.npz", *CATEGORICAL, "--state", files / "s.npz")
    assert geomkfac(*words).status == 0
    arrays = read_arrays(files / "s.npz")
    write_arrays(files / "s.npz", arrays | {"about": np.frombuffer(b"[" * 100_000, dtype=np.uint8)})
    finished = geomkfac(*words)
    assert finished.status == 2
    assert "nested too deeply" in finished.error


def test_a_layer_without_units_is_refused(geomkfac: Run, files: Path) -> None:
    shapes = {"1.weight": (0, 5), "1.bias": (0,), "2.weight": (3, 0), "2.bias": (3,)}
    write_arrays(files / "net.npz", {name: np.ones(shape) for name, shape in shapes.items()})
    finished = geomkfac("factors", files / "net.npz", files / "data.npz", *CATEGORICAL)
    assert finished.status == 2
    assert "layer '1' has no units" in finished.error


@pytest.mark.parametrize("command", ["factors", "step"])
def test_bfloat16_weights_are_read_where_that_is_asked_for(geomkfac: Run, files: Path, command: str) -> None:
    """The same factors, bit for bit, as of the float32 weights of which these are the upper halves."""
    arrays = {name: array.astype(np.float32) for name, array in read_arrays(files / "network.npz").items()}
    header, numbers = {}, b""
    for name, array in arrays.items():
        half = (array.view(np.uint32) >> 16).astype("<u2")
        place = [len(numbers), len(numbers) + half.nbytes]
        header[name] = {"dtype": "BF16", "shape": list(array.shape), "data_offsets": place}
        numbers += half.tobytes()
        arrays[name] = (half.astype(np.uint32) << 16).view(np.float32)
    text = json.dumps(header).encode()
    (files / "half.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + numbers)
    write_arrays(files / "wide.npz", arrays)
    data = read_arrays(files / "data.npz")
    write_arrays(files / "data32.npz", data | {"X": data["X"].astype(np.float32)})
    more = ("--damping", "0.1") if command == "step" else ()
    outs = []
    for network, words in (("half.safetensors", ("--widen",)), ("wide.npz", ())):
        out = files / f"{network}.npz"
        finished = geomkfac(command, files / network, files / "data32.npz", *CATEGORICAL, *more, *words, "--out", out)
        assert finished.status == 0, finished.error
        outs.append(read_arrays(out))
    assert outs[0].keys() == outs[1].keys()
    assert all((outs[0][name] == outs[1][name]).all() for name in outs[0])
    refused = geomkfac(command, files / "half.safetensors", files / "data32.npz", *CATEGORICAL, *more)
    assert refused.status == 2
    assert "--widen" in refused.error


def test_notes_of_a_catalogue_that_are_no_text_are_refused(geomkfac: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_bytes(b"\xff\xfe")
    finished = geomkfac("catalogue", "--markdown", tmp_path / "c.md", "--notes", tmp_path / "notes.md")
    assert finished.status == 2
    assert "a text file in UTF-8" in finished.error


@pytest.mark.slow
@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": 1, "format": 1}', '{"format": 1}', "\x00"])
def test_a_kept_catalogue_that_is_none_is_refused(geomkfac: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    finished = geomkfac("catalogue", "--json", tmp_path / "c.json", "--package", "no_such_package", "--no-libraries")
    assert finished.status == 2
    assert "c.json' cannot be read" in finished.error or "no catalogue" in finished.error
    assert (tmp_path / "c.json").read_text() == text


def test_a_single_length_for_all_sequences_is_refused(geomkfac: Run, tmp_path: Path) -> None:
    weights = {f"{k}.{part}": np.ones((1, 1) if part == "weight" else 1) for k in "123" for part in ("weight", "bias")}
    write_arrays(tmp_path / "r.npz", weights)
    write_arrays(tmp_path / "d.npz", {"X": np.ones((2, 3, 1)), "y": np.ones((2, 1)), "lengths": np.asarray(3)})
    words = ("--architecture", "recurrence(at='last')", "--output", "gaussian")
    finished = geomkfac("factors", tmp_path / "r.npz", tmp_path / "d.npz", *words)
    assert finished.status == 2
    assert "required: 2; came 3" in finished.error
