"""Data that are read when their turn comes: mapped files, and pieces that can be sent."""

from __future__ import annotations

import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.errors import KindError, ShapeError, ValuesError
from geomkfac.spaces import AffineSpace, BaseFrame, Parameterization, PowerSpace, Sample
from geomkfac.spaces.samples.targets import parts_of

N = 11


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    np.save(folder / "X.npy", np.arange(2.0 * N).reshape(N, 2))
    np.save(folder / "y.npy", np.arange(N))
    return folder


A = AffineSpace("A", 2)
iota: BaseFrame = A.frame("iota")


def mapped(folder: Path, **how: Any) -> Sample:
    X, y = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in "Xy")
    return Sample.from_coordinates(X, y, iota, **how)


def listed(sample: Sample, size: int | None) -> list[Any]:
    return [
        (chunk.first, chunk.points.coordinates(iota).tolist(), chunk.targets.tolist(),
         None if chunk.weights is None else chunk.weights.tolist(), chunk.lengths)
        for chunk in sample.chunks(size)
    ]  # fmt: skip


@given(st.none() | st.integers(1, N + 2), st.booleans())
def test_a_mapped_sample_is_the_sample_of_its_numbers(folder: Path, size: int | None, weighted: bool) -> None:
    weights = np.arange(1.0, N + 1) if weighted else None
    X, y = np.arange(2.0 * N).reshape(N, 2), np.arange(N)
    held = Sample.from_coordinates(X, y, iota, weights=weights)
    assert listed(mapped(folder, weights=weights), size) == listed(held, size)


@given(st.integers(1, N))
def test_pieces_are_loaded_elsewhere_as_here(folder: Path, size: int) -> None:
    kappa = iota.change(np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([1.0, 0.0]))
    for sample in (mapped(folder), mapped(folder).expressed_in(kappa)):
        for piece in sample.pieces(size):
            here, there = piece.load(), pickle.loads(pickle.dumps(piece)).load()
            assert (piece.first, piece.count) == (here.first, here.count)
            assert there.first == here.first
            assert (there.points.coordinates(iota) == here.points.coordinates(iota)).all()
            assert (there.targets == here.targets).all()


def test_a_piece_of_arrays_takes_along_its_own_rows_alone() -> None:
    X = np.zeros((1000, 2))
    first = next(Sample.from_coordinates(X, None, iota).pieces(10))
    assert len(pickle.dumps(first)) < X.nbytes / 4


def test_making_and_walking_a_mapped_sample_reads_one_chunk_at_a_time(tmp_path: Path) -> None:
    rows = 40_000
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float64, (rows, 2))
    X[:] = 1.0
    X.flush()
    tracemalloc.start()
    sample = Sample.from_coordinates(np.load(tmp_path / "X.npy", mmap_mode="r"), None, iota)
    for _ in sample.chunks(100):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A mask of all rows, as a check of all values at once would make, is 2 * 40,000 bytes.
    assert peak < 2 * rows


def test_values_are_checked_when_they_are_read(tmp_path: Path) -> None:
    X = np.ones((N, 2))
    X[7, 1] = np.inf
    np.save(tmp_path / "X.npy", X)
    sample = Sample.from_coordinates(np.load(tmp_path / "X.npy", mmap_mode="r"), None, iota)
    chunks = sample.chunks(5)
    next(chunks)
    with pytest.raises(ValuesError, match="finite"):
        next(chunks)


def test_what_does_not_fit_is_refused_before_anything_is_read(folder: Path, tmp_path: Path) -> None:
    X = np.load(folder / "X.npy", mmap_mode="r")
    with pytest.raises(ShapeError, match="one target per point"):
        Sample.from_coordinates(X, np.zeros(N - 1), iota)
    with pytest.raises(ShapeError, match=r"weights must have shape \(11,\)"):
        Sample.from_coordinates(X, None, iota, weights=np.ones(3))
    with pytest.raises(ValuesError, match="sum to zero"):
        Sample.from_coordinates(X, None, iota, weights=np.zeros(N))
    with pytest.raises(ShapeError, match="coordinates"):
        Sample.from_coordinates(np.load(folder / "y.npy", mmap_mode="r").astype(float)[:, None], X, iota)
    for dtype in (np.float16, np.int64):
        np.save(tmp_path / "X.npy", np.ones((N, 2), dtype))
        with pytest.raises(KindError):
            Sample.from_coordinates(np.load(tmp_path / "X.npy", mmap_mode="r"), None, iota)
    np.save(tmp_path / "X.npy", np.ones((0, 2)))
    with pytest.raises(ValuesError, match="at least one datum"):
        Sample.from_coordinates(np.ones((0, 2)), None, iota)


def test_lengths_of_mapped_sequences_stay_with_them(tmp_path: Path) -> None:
    T = PowerSpace(A, 3)
    frame = Parameterization([iota])[T]
    np.save(tmp_path / "X.npy", np.arange(6.0 * 4).reshape(4, 3, 2))
    sample = Sample.from_coordinates(
        np.load(tmp_path / "X.npy", mmap_mode="r"), None, frame, lengths=np.array([1, 2, 3, 2])
    )
    assert [chunk.lengths for chunk in sample.chunks(3)] == [(1, 2, 3), (2,)]


@pytest.mark.parametrize(
    "arranged", [lambda y, z: (y, z), lambda y, z: {"label": y, "place": z}], ids=["tuple", "dict"]
)
def test_targets_side_by_side_are_mapped_one_by_one(folder: Path, arranged: Any) -> None:
    X, y = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in "Xy")
    held = np.arange(3.0 * N).reshape(N, 3)
    mapped_too = Sample.from_coordinates(X, arranged(y, held), iota)
    in_memory = Sample.from_coordinates(np.array(X), arranged(np.array(y), held), iota)
    for one, other in zip(mapped_too.pieces(4), in_memory.chunks(4), strict=True):
        found = pickle.loads(pickle.dumps(one)).load()
        assert [part.tolist() for _, part in parts_of(found.targets)] == [
            part.tolist() for _, part in parts_of(other.targets)
        ]
        assert type(found.targets) is type(other.targets)
    with pytest.raises(ShapeError, match="one target per point"):
        Sample.from_coordinates(X, arranged(y, held[1:]), iota)
