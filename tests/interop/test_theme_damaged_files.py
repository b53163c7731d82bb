"""Whatever is done to a file, it is refused by an error of ours, or gives the very numbers that were stored.

NumPy and safetensors are the oracles of what a file that is read holds.  Numbers in ``.npy`` and ``.safetensors``
files have no checksum, so that there only headers are damaged.  ``--hypothesis-profile fuzz`` draws 100,000 files for
each test.
"""

from __future__ import annotations

import io
import os
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from safetensors.numpy import save

import geomkfac as gk
from geomkfac.arrays.mapped import in_memory, open_mapped
from geomkfac.cli import main
from geomkfac.errors import FileFormatError, GeomkfacError, ValuesError
from geomkfac.interop import Checkpoint, open_data, read_arrays, read_network
from geomkfac.interop.formats import npz

from ..damages import damaged

DTYPES = ["<f8", ">f8", "<f4", "<f2", "|b1", "|i1", "<i8", ">u2", "<c16", "<U3"]
NAMES = ["X", "y", "lengths", "layer1.weight", "layer1.bias", "layer10.weight", "a/b", "é"]


@contextmanager
def folder_with(content: bytes, name: str) -> Iterator[Path]:
    """A folder with one file, and afterwards no other."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield path
        assert os.listdir(folder) == [name]


def same(left: Any, right: Any) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


@st.composite
def stored(draw: Any, dtypes: list[str] = DTYPES) -> dict[str, Any]:
    """Some arrays by name, of numbers that are all different."""
    arrays = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)):
        dtype, shape = draw(st.sampled_from(dtypes)), draw(array_shapes(min_dims=0, min_side=0, max_side=4))
        numbers = np.arange(1, 1 + int(np.prod(shape))) % (2 if dtype == "|b1" else 100)
        arrays[name] = np.asarray(numbers.astype(dtype).reshape(shape), order=draw(st.sampled_from("CF")))
    return arrays


def archive(arrays: dict[str, Any], writer: str) -> bytes:
    file = io.BytesIO()
    if writer == "ours":
        npz.write(file, {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()})
    else:
        {"stored": np.savez, "compressed": np.savez_compressed}[writer](file, **arrays)
    return file.getvalue()


WRITERS = st.sampled_from(["ours", "stored", "compressed"])


@given(st.data(), stored(), stored(), WRITERS, WRITERS)
def test_a_damaged_archive_is_refused_or_gives_the_numbers_that_were_stored(
    data: st.DataObject, arrays: dict[str, Any], others: dict[str, Any], writer: str, another: str
) -> None:
    content = data.draw(damaged(archive(arrays, writer), archive(others, another)))
    with folder_with(content, "a.npz") as path:
        try:
            read = read_arrays(path)
        except FileFormatError:
            return
    # Parts of two archives may be the whole of either.
    assert any(
        read.keys() == whole.keys() and all(same(read[name], whole[name]) for name in whole)
        for whole in (arrays, others)
    )


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@given(st.data(), stored(), stored())
def test_a_member_that_is_no_array_is_refused_or_is_what_numpy_reads(
    data: st.DataObject, arrays: dict[str, Any], others: dict[str, Any]
) -> None:
    """Archives with right checksums, as a hostile writer makes them: what is damaged is within."""
    file, other = io.BytesIO(), npy(next(iter(others.values())))
    names = data.draw(st.lists(st.sampled_from(["X.npy", "X", "y.npy"]), min_size=len(arrays), max_size=len(arrays)))
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", data.draw(st.sampled_from([0, 8, 12, 14]))) as made:
        warnings.simplefilter("ignore")
        for name, array in zip(names, arrays.values(), strict=True):
            whole = npy(array)
            made.writestr(name, data.draw(damaged(whole, other) | st.just(whole)))
    with folder_with(file.getvalue(), "a.npz") as path:
        try:
            read = read_arrays(path)
        except FileFormatError:
            return
    assert len(read) == len(names)
    with np.load(io.BytesIO(file.getvalue()), allow_pickle=False) as reference:
        assert read.keys() == set(reference.files)
        assert all(same(read[name], reference[name]) for name in read)


@given(st.data(), stored(), stored())
def test_a_damaged_header_of_a_mapped_file_is_refused_or_is_what_numpy_reads(
    data: st.DataObject, arrays: dict[str, Any], others: dict[str, Any]
) -> None:
    content, other = (npy(next(iter(some.values()))) for some in (arrays, others))
    content = data.draw(damaged(content, other, end=128))
    with folder_with(content, "X.npy") as path:
        try:
            mapped = open_mapped(path)
        except FileFormatError:
            return
        assert same(in_memory(mapped), np.load(io.BytesIO(content), allow_pickle=False))


TENSORS = ["<f8", "<f4", "<f2", "|b1", "|i1", "<i8", "<u2"]


@given(st.data(), stored(TENSORS), stored(TENSORS), st.booleans())
def test_a_damaged_header_of_safetensors_is_refused_or_is_what_its_library_reads(
    data: st.DataObject, arrays: dict[str, Any], others: dict[str, Any], widen: bool
) -> None:
    content, other = (save({name: np.ascontiguousarray(array).reshape(array.shape) for name, array in some.items()})
                      for some in (arrays, others))  # fmt: skip
    content = data.draw(damaged(content, other, end=8 + struct.unpack("<Q", content[:8])[0]))
    with folder_with(content, "a.safetensors") as path:
        try:
            read = read_arrays(path, widen=widen)
        except FileFormatError:
            return
    reference = dict(safetensors.deserialize(content))
    assert read.keys() == reference.keys()
    for name, array in read.items():
        code, numbers = reference[name]["dtype"], bytes(reference[name]["data"])
        assert list(array.shape) == reference[name]["shape"]
        if code == "F16" and widen:
            numbers = np.frombuffer(numbers, "<f2").astype(np.float32).tobytes()
        kept = array.reshape(-1).view(np.uint16)[1::2] if code == "BF16" else array
        assert kept.tobytes() == numbers


# -- through what reads them -------------------------------------------------------------------------------------
WIDTHS = [3, 2, 2]


def network_arrays() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    shapes = [(2, 3), (2, 2)]
    return {f"layer{k}.{part}": rng.standard_normal(shape[: 2 if part == "weight" else 1])
            for k, shape in enumerate(shapes, start=1) for part in ("weight", "bias")}  # fmt: skip


def data_arrays() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {"X": rng.standard_normal((5, 3)), "y": rng.integers(0, 2, 5)}


FORMATS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    ".npz": lambda arrays: archive(arrays, "compressed"),
    ".safetensors": save,
}


@contextmanager
def files(suffix: str, folder: bool) -> Iterator[Path]:
    """A network, and data as a file or a folder."""
    with tempfile.TemporaryDirectory() as root:
        place = Path(root)
        (place / f"network{suffix}").write_bytes(FORMATS[suffix](network_arrays()))
        if folder:
            (place / "data").mkdir()
            for name, array in data_arrays().items():
                (place / "data" / f"{name}.npy").write_bytes(npy(array))
        else:
            (place / f"data{suffix}").write_bytes(FORMATS[suffix](data_arrays()))
        yield place


def run(place: Path, suffix: str, folder: bool, *words: str) -> tuple[int, dict[str, Any] | None]:
    """The status of a command, and what it wrote."""
    out = place / "out.npz"
    out.unlink(missing_ok=True)
    command = ["factors", str(place / f"network{suffix}"), str(place / ("data" if folder else f"data{suffix}")),
               "--activation", "tanh", "--output", "categorical", "--out", str(out), *words]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        main(command)
    return int(stop.value.code or 0), read_arrays(out) if out.exists() else None


@cache
def expected(suffix: str, folder: bool) -> dict[str, Any]:
    with files(suffix, folder) as place:
        status, written = run(place, suffix, folder)
    assert status == 0
    assert written is not None
    return written


@given(st.data(), st.sampled_from([*FORMATS]), st.booleans(), st.booleans())
def test_a_command_ends_with_status_2_or_the_right_numbers_and_leaves_nothing(
    data: st.DataObject, suffix: str, folder: bool, of_network: bool
) -> None:
    whole = expected(suffix, folder)
    with files(suffix, folder) as place:
        names = [f"network{suffix}"] if of_network else ["data/X.npy", "data/y.npy"] if folder else [f"data{suffix}"]
        path = place / data.draw(st.sampled_from(names))
        content = path.read_bytes()
        end = 128 if path.suffix == ".npy" else None
        if path.suffix == ".safetensors":
            end = 8 + struct.unpack("<Q", content[:8])[0]
        path.write_bytes(data.draw(damaged(content, end=end)))
        before = {entry for entry in place.rglob("*")}
        status, written = run(place, suffix, folder)
        assert set(place.rglob("*")) - before == ({place / "out.npz"} if status == 0 else set())
    assert status in (0, 2)
    assert (written is None) == (status == 2)
    # A header without a checksum may be that of other numbers; an archive's may not.
    if written is not None and path.suffix == ".npz":
        assert written.keys() == whole.keys()
        assert all(same(written[name], whole[name]) for name in whole)


@cache
def problem() -> tuple[Any, ...]:
    arrays = network_arrays()
    net, weights, iota = gk.MLP.from_arrays(
        [arrays["layer1.weight"], arrays["layer2.weight"]], [arrays["layer1.bias"], arrays["layer2.bias"]], "tanh"
    )
    return net, weights, iota.sample(*data_arrays().values()), gk.Categorical().on(iota), iota


def moments(path: Path) -> list[Any]:
    net, weights, data, loss, iota = problem()
    found = net.moments(weights, data, loss, chunk_size=2, checkpoint=Checkpoint(path, iota))
    return [factor for block in found.metric().coordinates(iota).blocks for factor in block.factors]


@cache
def state() -> tuple[bytes, list[Any]]:
    """What a run that is stopped after its first chunk leaves, and what the whole comes to."""

    class Stopped(Exception):
        pass

    def stop(progress: Any) -> None:
        raise Stopped

    net, weights, data, loss, iota = problem()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sums.npz"
        with suppress(Stopped):
            net.moments(weights, data, loss, chunk_size=2, checkpoint=Checkpoint(path, iota), progress=stop)
        return path.read_bytes(), moments(path)


@given(st.data())
def test_a_damaged_state_is_refused_or_the_run_goes_on_to_the_same(data: st.DataObject) -> None:
    content, whole = state()
    with folder_with(data.draw(damaged(content)), "sums.npz") as path:
        try:
            resumed = moments(path)
        except FileFormatError:
            return
    assert all((one == other).all() for one, other in zip(resumed, whole, strict=True))


@given(st.data())
def test_a_state_that_someone_else_wrote_is_refused_by_an_error_of_ours(data: st.DataObject) -> None:
    """With right checksums, of other arrays: what they mean cannot be known, but nothing else is raised."""
    content, _ = state()
    with np.load(io.BytesIO(content)) as archived:
        arrays = dict(archived)
    name = data.draw(st.sampled_from(sorted(arrays)))
    if name == "about" and data.draw(st.booleans()):
        arrays[name] = np.frombuffer(data.draw(damaged(arrays[name].tobytes())), dtype=np.uint8)
    else:
        array = data.draw(stored(), label="in its place")
        arrays[name] = next(iter(array.values()))
        if data.draw(st.booleans()):
            del arrays[name]
    with folder_with(archive(arrays, "stored"), "sums.npz") as path, suppress(FileFormatError, ValuesError):
        moments(path)


@given(st.data(), stored(), st.booleans())
def test_any_arrays_make_a_network_or_an_error_of_ours(
    data: st.DataObject, arrays: dict[str, Any], chained: bool
) -> None:
    names = data.draw(st.permutations(["1.weight", "1.bias", "2.weight", "9" * 5000 + ".bias", "weight", "a.b.bias"]))
    given_names = dict(zip(names, arrays.values(), strict=False))
    with folder_with(archive(given_names, "ours"), "net.npz") as path, suppress(GeomkfacError):
        weights, biases = read_network(path, chained=chained)
        gk.MLP.from_arrays(weights, biases)


SEQUENCES = {f"{k}.{part}": np.ones((1, 1) if part == "weight" else 1) for k in "123" for part in ("weight", "bias")}


@given(stored(), stored(), st.booleans())
def test_any_targets_and_lengths_are_used_or_refused_by_a_command(
    y: dict[str, Any], lengths: dict[str, Any], with_lengths: bool
) -> None:
    targets, steps = next(iter(y.values())), next(iter(lengths.values()))
    data = {"X": np.ones((len(targets) if targets.ndim else 1, 3, 1)), "y": targets}
    with tempfile.TemporaryDirectory() as folder:
        for name, arrays in (("r", SEQUENCES), ("d", data | ({"lengths": steps} if with_lengths else {}))):
            (Path(folder) / f"{name}.npz").write_bytes(archive(arrays, "ours"))
        words = ["--architecture", "recurrence(at='last')", "--output", "gaussian"]
        with pytest.raises(SystemExit) as stop:
            main(["factors", f"{folder}/r.npz", f"{folder}/d.npz", *words])
    assert stop.value.code in (0, 2)


@given(st.data(), stored(), stored(), stored(), st.sampled_from([2, 3]))
def test_any_folder_makes_data_or_an_error_of_ours(
    data: st.DataObject, X: dict[str, Any], y: dict[str, Any], lengths: dict[str, Any], ndim: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, some in (("X", X), ("y", y), ("lengths", lengths)):
            if data.draw(st.integers(0, 9)):
                (Path(folder) / f"{name}.npy").write_bytes(npy(next(iter(some.values()))))
        with suppress(GeomkfacError):
            open_data(folder, ndim=ndim)


def test_of_a_thousand_damaged_files_none_gives_a_traceback_or_leaves_another() -> None:
    """Beside the laws: that damage of up to three bits is refused for many reasons, and some does no harm."""
    rng, said, read = np.random.default_rng(0), set[str](), 0
    wholes = {"a.npz": archive(data_arrays(), "stored"), "b.npz": archive(network_arrays(), "compressed"),
              "c.safetensors": save(data_arrays()), "d.npy": npy(data_arrays()["X"])}  # fmt: skip
    for index in range(1000):
        name = list(wholes)[index % 4]
        changed = bytearray(wholes[name])
        for place in rng.integers(len(changed) if name.endswith("npz") else 100, size=rng.integers(1, 4)):
            changed[place] ^= 1 << rng.integers(8)
        with folder_with(bytes(changed), name) as path:
            try:
                (open_mapped if name == "d.npy" else read_arrays)(path)
                read += 1
            except FileFormatError as error:
                said.add(str(error).splitlines()[2][:20])
    assert read >= 10
    assert len(said) >= 10
