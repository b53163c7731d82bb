"""Files of safetensors: every dtype as its library has it, bfloat16 exactly, and no header that says two things."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import SafetensorError, deserialize

from geomkfac.arrays import namespace_of
from geomkfac.errors import FileFormatError, KindError
from geomkfac.interop import read_arrays, read_data, read_network, read_sequences, write_arrays
from geomkfac.interop.formats.tensors import DTYPES


def made(path: Path, header: Any, numbers: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + numbers)
    return path


def entry(dtype: str, shape: Any, begin: Any, end: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize("code", sorted(DTYPES))
def test_every_dtype_is_read_as_the_library_of_the_format_reads_it(tmp_path: Path, code: str) -> None:
    size = np.dtype(DTYPES[code]).itemsize
    numbers = (np.arange(6 * size) % (2 if code == "BOOL" else 251)).astype(np.uint8).tobytes()
    path = made(tmp_path / "a.safetensors", {"a": entry(code, [2, 3], 0, 6 * size)}, numbers)
    try:
        ((name, reference),) = deserialize(path.read_bytes())
    except SafetensorError:
        # An early version of the library knows fewer.
        assert code == "C64"
        pytest.skip("this version of safetensors has no complex numbers")
    array = read_arrays(path, widen=code == "BF16")[name]
    assert (array.shape, reference["dtype"]) == ((2, 3), code)
    kept = array.view(np.uint16)[..., 1::2] if code == "BF16" else array
    assert kept.tobytes() == bytes(reference["data"])


def test_every_bfloat16_is_read_exactly_into_float32_where_that_is_asked_for(tmp_path: Path) -> None:
    """All 65536 of them: sign, exponent and 7 bits are those of float32, and so is what they mean."""
    bits = np.arange(2**16, dtype="<u2")
    path = made(tmp_path / "a.safetensors", {"a": entry("BF16", [256, 256], 0, 2**17)}, bits.tobytes())
    array = read_arrays(path, widen=True)["a"]
    assert array.dtype == np.float32
    assert (array.view(np.uint32).ravel() == bits.astype(np.uint32) * 2**16).all()
    sign, exponent, fraction = bits >> 15, (bits >> 7 & 255).astype(int), (bits & 127).astype(float)
    finite = exponent < 255
    expected = np.where(exponent > 0, np.ldexp(1 + fraction / 128, exponent - 127), np.ldexp(fraction / 128, -126))
    assert ((1 - 2.0 * sign) * expected == array.ravel())[finite].all()
    assert not np.isfinite(array.ravel()[~finite]).any()


def test_bfloat16_is_refused_with_what_reads_it(tmp_path: Path) -> None:
    path = made(tmp_path / "a.safetensors", {"a": entry("BF16", [1], 0, 2)}, bytes(2))
    with pytest.raises(FileFormatError, match=r"'a' is of dtype BF16.*widen=True, on the command line --widen"):
        read_arrays(path)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_float16_comes_as_it_is_or_exactly_as_float32(tmp_path: Path, suffix: str) -> None:
    path, half = tmp_path / f"a{suffix}", np.arange(2**16, dtype=np.uint16).view(np.float16)
    write_arrays(path, {"half": half, "double": np.ones(1), "count": np.arange(3), "scalar": np.float16(1.5)})
    assert read_arrays(path)["half"].dtype == np.float16
    with pytest.raises(KindError, match=r"float16"):
        namespace_of(read_arrays(path)["half"])
    wide = read_arrays(path, widen=True)
    assert [wide[key].dtype.name for key in ("half", "double", "count", "scalar")] == [
        "float32", "float64", "int64", "float32"
    ]  # fmt: skip
    assert wide["scalar"].shape == ()
    finite = np.isfinite(half)
    assert (wide["half"][finite].astype(np.float64) == half[finite].astype(np.float64)).all()
    assert not np.isfinite(wide["half"][~finite]).any()


def test_networks_data_and_sequences_are_widened(tmp_path: Path) -> None:
    one = struct.pack("<H", 0x3F80)
    header = {"1.weight": entry("BF16", [1, 2], 0, 4), "1.bias": entry("BF16", [1], 4, 6)}
    (W,), (b,) = read_network(made(tmp_path / "net.safetensors", header, one * 3), widen=True)
    assert (W.tolist(), b.tolist(), W.dtype) == ([[1, 1]], [1], np.float32)
    header = {"X": entry("BF16", [2, 1], 0, 4), "y": entry("I64", [2], 4, 20)}
    X, y = read_data(made(tmp_path / "data.safetensors", header, one * 2 + bytes(16)), widen=True)
    assert (X.dtype, y.dtype) == (np.float32, np.int64)
    header = {"X": entry("BF16", [2, 1, 1], 0, 4), "y": entry("I64", [2], 4, 20)}
    X, _, lengths = read_sequences(made(tmp_path / "steps.safetensors", header, one * 2 + bytes(16)), widen=True)
    assert (X.dtype, lengths) == (np.float32, None)


TWO = {"a": entry("F64", [2], 0, 16), "b": entry("F32", [2], 16, 24)}
BAD: dict[str, tuple[Any, str]] = {
    "a name twice": (b'{"a": 1, "a": 2}', "the name 'a' twice"),
    "an entry twice": (b'{"a": {"dtype": "F64", "dtype": "F32"}}', "'dtype' twice"),
    "a dtype of 8 bits": ({"a": entry("F8_E4M3", [24], 0, 24)}, "F8_E4M3, where one of"),
    "a dtype of 4 bits": ({"a": entry("F4", [48], 0, 24)}, "F4, where one of"),
    "no dtype": ({"a": entry(["F64"], [3], 0, 24)}, "dtype"),  # type: ignore[arg-type]
    "a hole": ({"a": entry("F64", [1], 0, 8), "b": entry("F64", [1], 16, 24)}, "must be at 8"),
    "an overlap": ({"a": entry("F64", [2], 0, 16), "b": entry("F64", [2], 8, 24)}, "must be at 16"),
    "one place for two": ({"a": entry("F64", [3], 0, 24), "b": entry("F64", [3], 0, 24)}, "must be at 24"),
    "bytes left over": ({"a": entry("F64", [2], 0, 16)}, "24 bytes of numbers, where the header declares 16"),
    "bytes missing": ({"a": entry("F64", [4], 0, 32)}, "24 bytes of numbers, where the header declares 32"),
    "backwards": ({"a": entry("F64", [0], 24, 0)}, "has -24 bytes"),
    "another size": ({"a": entry("F64", [2], 0, 24)}, "not as many"),
    "no array at all": (TWO | {"c": 3}, "'c' is no array"),
    "a truth value as a size": ({"a": entry("F64", [True, 3], 0, 24)}, "nonnegative"),
    "a fraction as a size": ({"a": entry("F64", [3.0], 0, 24)}, "nonnegative"),
    "a negative size": ({"a": entry("F64", [-3], 0, 24)}, "nonnegative"),
    "a size for a shape": ({"a": entry("F64", 3, 0, 24)}, "nonnegative"),
    "three offsets": ({"a": {"dtype": "F64", "shape": [3], "data_offsets": [0, 24, 24]}}, "nonnegative"),
    "a size beyond all": ({"a": entry("F64", [10**12, 10**12], 0, 24)}, "more entries than any memory holds"),
    "a size of 5000 digits": (b'{"a": {"dtype": "F64", "shape": [%s]}}' % (b"9" * 5000), "digits"),
    "deep brackets": (b"[" * 100_000, "nested too deeply"),
    "a list": (b"[]", "no JSON object"),
    "no JSON": (b"{", "cannot be read"),
    "no text": (b"\xff\xfe", "utf-8"),
    "truth values of other bytes": ({"a": entry("BOOL", [24], 0, 24)}, "neither 0 nor 1"),
}


@pytest.mark.parametrize(("header", "said"), BAD.values(), ids=BAD.keys())
def test_a_header_that_the_file_does_not_bear_out_is_refused(tmp_path: Path, header: Any, said: str) -> None:
    with pytest.raises(FileFormatError, match=said):
        read_arrays(made(tmp_path / "a.safetensors", header, bytes(range(24))))


@pytest.mark.parametrize("length", [0, 3, 2**32, 2**63, 2**64 - 1])
def test_a_header_of_another_length_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_arrays(made(tmp_path / "a.safetensors", TWO, bytes(24), length))


def test_arrays_come_in_the_order_of_the_header_and_metadata_are_passed_over(tmp_path: Path) -> None:
    header = {"__metadata__": {"format": "pt"}, "b": entry("F32", [2], 16, 24), "a": entry("F64", [2], 0, 16)}
    numbers = np.arange(2.0).tobytes() + np.arange(2, dtype=np.float32).tobytes()
    read = read_arrays(made(tmp_path / "a.safetensors", header, numbers))
    assert {name: array.tolist() for name, array in read.items()} == {"b": [0, 1], "a": [0, 1]}
    assert list(read) == ["b", "a"]


@pytest.mark.parametrize("key", ["", "a/b", "é", "x" * 100_000, 'with "quotes"', "a\0b"])
def test_any_name_comes_back(tmp_path: Path, key: str) -> None:
    write_arrays(tmp_path / "a.safetensors", {key: np.ones(1)})
    assert read_arrays(tmp_path / "a.safetensors").keys() == {key}


@pytest.mark.parametrize("key", ["__metadata__", "\ud800"])
def test_a_name_that_the_format_lacks_is_refused_when_written(tmp_path: Path, key: str) -> None:
    with pytest.raises(FileFormatError, match="cannot be written"):
        write_arrays(tmp_path / "a.safetensors", {key: np.ones(1)})
    assert os.listdir(tmp_path) == []
