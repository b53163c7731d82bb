"""Networks and data in files, and every way in which a file can be wrong."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geomkfac.errors import FileFormatError, KindError, ShapeError
from geomkfac.interop import files
from geomkfac.interop.datasets import load_digits
from geomkfac.interop.files import (
    read_arrays,
    read_data,
    read_network,
    write_arrays,
    write_data,
    write_network,
)

SUFFIXES = pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def network(dtype: str = "float64", depth: int = 3) -> tuple[list[Any], list[Any]]:
    rng = np.random.default_rng(1)
    widths = [4, *range(2, depth + 2)]
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    return (
        [rng.standard_normal(shape).astype(dtype) for shape in shapes],
        [rng.standard_normal(shape[0]).astype(dtype) for shape in shapes],
    )


def same(left: list[Any], right: list[Any]) -> bool:
    return len(left) == len(right) and all(
        a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)
        for a, b in zip(left, right, strict=True)
    )


@SUFFIXES
@DTYPES
def test_a_network_comes_back_as_it_was_written(tmp_path: Path, suffix: str, dtype: str) -> None:
    weights, biases = network(dtype, depth=12)
    write_network(tmp_path / f"net{suffix}", weights, biases)
    read_weights, read_biases = read_network(str(tmp_path / f"net{suffix}"))
    assert same(read_weights, weights)
    assert same(read_biases, biases)
    assert os.listdir(tmp_path) == [f"net{suffix}"]


@SUFFIXES
def test_data_come_back_with_their_dtypes(tmp_path: Path, suffix: str) -> None:
    X, y = np.arange(12, dtype=np.float32).reshape(6, 2).T.copy().T, np.arange(6, dtype=np.uint8)
    write_data(tmp_path / f"data{suffix}", X, y)
    assert same(list(read_data(tmp_path / f"data{suffix}")), [X, y])


@SUFFIXES
def test_strided_and_empty_and_scalar_arrays_come_back(tmp_path: Path, suffix: str) -> None:
    arrays = {"file": np.arange(6.0).reshape(2, 3).T, "b": np.zeros((0, 2)), "c": np.asarray(1.5)}
    write_arrays(tmp_path / f"a{suffix}", arrays)
    back = read_arrays(tmp_path / f"a{suffix}")
    assert set(back) == set(arrays)
    assert same([back[key] for key in arrays], list(arrays.values()))


@SUFFIXES
def test_layers_come_in_natural_order(tmp_path: Path, suffix: str) -> None:
    arrays: dict[str, Any] = {}
    for k in [10, 2, 9, 1]:
        arrays |= {f"block.{k}.weight": np.full((1, 1), k, dtype=float), f"block.{k}.bias": np.zeros(1)}
    write_arrays(tmp_path / f"net{suffix}", arrays)
    assert [w.item() for w in read_network(tmp_path / f"net{suffix}")[0]] == [1, 2, 9, 10]


@pytest.mark.parametrize("path", ["net.txt", "net", "net.npy"])
def test_an_unknown_suffix_is_refused_both_ways(tmp_path: Path, path: str) -> None:
    with pytest.raises(FileFormatError, match=r"\.npz or \.safetensors"):
        read_network(tmp_path / path)
    with pytest.raises(FileFormatError, match="suffix"):
        write_network(tmp_path / path, *network())
    assert os.listdir(tmp_path) == []


@SUFFIXES
def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        read_network(tmp_path / f"net{suffix}")
    (tmp_path / f"net{suffix}").mkdir()
    with pytest.raises(FileFormatError, match="a folder"):
        read_network(tmp_path / f"net{suffix}")


@SUFFIXES
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"net{suffix}"
    write_network(path, *network())
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_network(path)


@SUFFIXES
@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04 and no more", b"\x00" * 64, b"\x80\x04K\x01."])
def test_a_file_of_another_format_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_arrays(path)


def test_flipped_bytes_in_an_archive_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    np.savez_compressed(path, X=np.arange(1000.0).reshape(10, 100), y=np.arange(10))
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_data(path)


def test_a_single_array_under_the_suffix_of_an_archive_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "net.npz").open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(FileFormatError, match="single array"):
        read_arrays(tmp_path / "net.npz")


def test_an_archive_with_members_that_are_no_arrays_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.npz", "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(FileFormatError, match=r"no arrays: 'notes\.txt'"):
        read_arrays(tmp_path / "net.npz")


class Bomb:
    """Unpickling it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    np.savez(tmp_path / "data.npz", X=np.asarray([Bomb(trace)], dtype=object), y=np.arange(1))
    with pytest.raises(FileFormatError, match="without pickled objects"):
        read_data(tmp_path / "data.npz")
    assert not trace.exists()


@SUFFIXES
@pytest.mark.parametrize(
    "keys", [["W1", "b1"], ["weight"], ["1.weight", "1.bias", "1.gain"], [".weight"], []]
)
def test_other_keys_are_listed_with_what_was_expected(tmp_path: Path, suffix: str, keys: list[str]) -> None:
    path = tmp_path / f"net{suffix}"
    write_arrays(path, {key: np.ones((1, 1)) for key in keys})
    with pytest.raises(FileFormatError) as refused:
        read_network(path)
    assert "<layer>.weight and <layer>.bias" in str(refused.value)
    assert all(repr(key) in str(refused.value) for key in keys)
    with pytest.raises(FileFormatError, match="X and y, nothing else"):
        read_data(path)


@SUFFIXES
@pytest.mark.parametrize("missing", ["weight", "bias"])
def test_a_weight_without_its_bias_is_refused(tmp_path: Path, suffix: str, missing: str) -> None:
    arrays = {
        "1.weight": np.ones((2, 2)),
        "1.bias": np.ones(2),
        "2.weight": np.ones((2, 2)),
        "2.bias": np.ones(2),
    }
    del arrays[f"2.{missing}"]
    write_arrays(tmp_path / f"net{suffix}", arrays)
    with pytest.raises(FileFormatError, match=rf"required: 2\.{missing}"):
        read_network(tmp_path / f"net{suffix}")


WRONG_SHAPES = {
    "do not chain": [(3, 2), (3,), (2, 4), (2,)],
    "bias of another length": [(3, 2), (3,), (2, 3), (3,)],
    "bias is a column": [(3, 2), (3,), (2, 3), (2, 1)],
    "weight is a vector": [(3, 2), (3,), (3,), (3,)],
    "weight is a scalar": [(3, 2), (3,), (), ()],
}


@SUFFIXES
@pytest.mark.parametrize("shapes", WRONG_SHAPES.values(), ids=WRONG_SHAPES.keys())
def test_shapes_that_make_no_network_name_the_layer(tmp_path: Path, suffix: str, shapes: list[Any]) -> None:
    arrays = [np.ones(shape) for shape in shapes]
    write_arrays(
        tmp_path / f"net{suffix}",
        dict(zip(["one.weight", "one.bias", "two.weight", "two.bias"], arrays, strict=True)),
    )
    with pytest.raises(ShapeError, match="layer 'two' does not fit"):
        read_network(tmp_path / f"net{suffix}")
    with pytest.raises(ShapeError, match="layer 'layer2' does not fit"):
        write_network(tmp_path / f"out{suffix}", arrays[::2], arrays[1::2])
    assert not (tmp_path / f"out{suffix}").exists()


@SUFFIXES
@pytest.mark.parametrize("chained", [True, False])
def test_a_layer_without_units_is_refused_by_its_name(tmp_path: Path, suffix: str, chained: bool) -> None:
    arrays = [np.ones(shape) for shape in [(0, 2), (0,), (2, 0), (2,)]]
    names = ["one.weight", "one.bias", "two.weight", "two.bias"]
    write_arrays(tmp_path / f"net{suffix}", dict(zip(names, arrays, strict=True)))
    with pytest.raises(ShapeError, match="layer 'one' has no units"):
        read_network(tmp_path / f"net{suffix}", chained=chained)
    with pytest.raises(ShapeError, match="layer 'layer1' has no units"):
        write_network(tmp_path / f"out{suffix}", arrays[::2], arrays[1::2], chained=chained)


@SUFFIXES
def test_layers_may_have_names_of_any_length_and_numbers_of_any_digits(tmp_path: Path, suffix: str) -> None:
    ordered = ["2", "10", "9" * 5000, "1" + "0" * 5000, "x" * 30_000, "٣"]
    arrays: dict[str, Any] = {}
    for value in [3, 0, 5, 2, 4, 1]:
        arrays |= {f"{ordered[value]}.weight": np.full((1, 1), float(value)), f"{ordered[value]}.bias": np.zeros(1)}
    write_arrays(tmp_path / f"net{suffix}", arrays)
    assert [w.item() for w in read_network(tmp_path / f"net{suffix}")[0]] == [0, 1, 2, 3, 4, 5]


@SUFFIXES
def test_a_message_about_many_long_names_stays_short(tmp_path: Path, suffix: str) -> None:
    write_arrays(tmp_path / f"net{suffix}", {f"{k}{'x' * 1000}": np.ones(1) for k in range(100)})
    with pytest.raises(FileFormatError, match="and 60 more") as refused:
        read_network(tmp_path / f"net{suffix}")
    assert len(str(refused.value)) < 10_000
    write_arrays(tmp_path / f"net{suffix}", {"x" * 10_000 + ".weight": np.ones((1, 1))})
    with pytest.raises(FileFormatError, match="go with the other array") as refused:
        read_network(tmp_path / f"net{suffix}")
    assert len(str(refused.value)) < 2_000


def test_a_network_needs_as_many_biases_as_weights(tmp_path: Path) -> None:
    weights, biases = network()
    with pytest.raises(ShapeError, match="3 weights, 2 biases"):
        write_network(tmp_path / "net.npz", weights, biases[:-1])
    with pytest.raises(ShapeError, match="0 weights"):
        write_network(tmp_path / "net.npz", [], [])


@pytest.mark.parametrize(("X", "y"), [((3,), (3,)), ((3, 2), (2,)), ((3, 2), ())])
def test_data_need_one_row_for_each_datum(tmp_path: Path, X: tuple[int, ...], y: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="one row for each datum"):
        write_data(tmp_path / "data.npz", np.ones(X), np.ones(y))
    write_arrays(tmp_path / "data.npz", {"X": np.ones(X), "y": np.ones(y)})
    with pytest.raises(ShapeError, match="one row for each datum"):
        read_data(tmp_path / "data.npz")


@SUFFIXES
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"net{suffix}"
    write_network(path, *network())
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(FileFormatError, match="no space left"):
        write_network(path, *network(depth=5))
    assert os.listdir(tmp_path) == [path.name]
    assert path.read_bytes() == before


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.np.lib.format, "write_array", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_network(tmp_path / "net.npz", *network())
    assert os.listdir(tmp_path) == []


@SUFFIXES
def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FileFormatError, match="Python objects"):
        write_arrays(tmp_path / f"a{suffix}", {"a": np.asarray([None, 1])})
    with pytest.raises(FileFormatError, match="no numbers"):
        write_arrays(tmp_path / f"a{suffix}", {"a": np.zeros(2, "V3")})
    with pytest.raises(FileFormatError, match="cannot be written"):
        write_arrays(tmp_path / "nowhere" / f"a{suffix}", {"a": np.ones(1)})
    assert os.listdir(tmp_path) == []


def test_a_dtype_that_the_format_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="complex128"):
        write_arrays(tmp_path / "a.safetensors", {"a": np.ones(1, dtype=complex)})
    assert os.listdir(tmp_path) == []


def test_a_new_file_has_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "reference").touch()
    write_network(tmp_path / "net.npz", *network())
    assert (tmp_path / "net.npz").stat().st_mode == (tmp_path / "reference").stat().st_mode


@DTYPES
def test_the_digits_are_complete_and_have_three_constant_pixels(dtype: str) -> None:
    X, y = load_digits(dtype)
    assert X.shape == (1797, 64)
    assert X.dtype == dtype
    assert y.shape == (1797,)
    assert y.dtype == np.int64
    assert np.flatnonzero(X.min(axis=0) == X.max(axis=0)).tolist() == [0, 32, 39]
    assert X.min() == 0
    assert X.max() == 1
    assert np.array_equal(X * 16, np.round(X * 16))
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_digits_come_in_floating_point_only() -> None:
    with pytest.raises(KindError, match="'int64'"):
        load_digits("int64")
