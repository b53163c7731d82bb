"""Samples: walked through again and again, in chunks of any size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.errors import FrameError, KindError, ShapeError, SpaceMismatchError, ValuesError
from geomkfac.spaces import AffineSpace, Parameterization, Sample
from geomkfac.testing import samples


def space_and_frame() -> tuple[AffineSpace, Any]:
    X = AffineSpace("X", 2)
    return X, X.frame("iota")


def data(count: int) -> tuple[Any, Any, Any]:
    return np.arange(2.0 * count).reshape(count, 2), np.arange(count), np.arange(1.0, count + 1)


def walked(sample: Sample, frame: Any, size: int | None = None) -> list[tuple[Any, ...]]:
    """Every datum of a sample: index, point, target and weight."""
    found = []
    for chunk in sample.chunks(size):
        assert size is None or chunk.count <= size
        for i in range(chunk.count):
            numbers = chunk.points[i].coordinates(frame).tolist()
            target = None if chunk.targets is None else chunk.targets[i]
            found.append((chunk.first + i, numbers, target, None if chunk.weights is None else chunk.weights[i]))
    return found


@given(count=st.integers(1, 7), size=st.integers(1, 8), cut=st.integers(0, 7))
def test_a_datum_keeps_its_index_whatever_the_chunks(count: int, size: int, cut: int) -> None:
    _, iota = space_and_frame()
    X, y, w = data(count)
    whole = Sample.from_coordinates(X, y, iota, weights=w)
    batches = [(X[:cut], y[:cut], w[:cut]), (X[cut:], y[cut:], w[cut:])]
    streamed = Sample.from_batches(batches, iota)
    expected = [(i, X[i].tolist(), y[i], w[i]) for i in range(count)]
    for sample in (whole, streamed, Sample.from_batches(lambda: iter(batches), iota)):
        assert walked(sample, iota) == expected
        assert walked(sample, iota, size) == expected
        assert walked(sample, iota) == expected  # again
    assert whole.count == count
    assert streamed.count is None


@given(data_=st.data())
def test_a_sample_expressed_in_another_frame_holds_the_same_points(data_: st.DataObject) -> None:
    X, iota = space_and_frame()
    sample = data_.draw(samples(X, iota, weighted=True))
    kappa = iota.change(2 * np.eye(2), np.ones(2))
    assert walked(sample.expressed_in(kappa), iota, 2) == walked(sample, iota)


def test_a_parameterization_takes_arrays_or_batches_in() -> None:
    X, iota = space_and_frame()
    kappa = Parameterization([iota], inputs=X)
    numbers, y, w = data(4)
    here = kappa.sample(numbers, y, weights=w)
    assert walked(here, iota) == walked(Sample.from_coordinates(numbers, y, iota, weights=w), iota)
    assert walked(kappa.sample([(numbers, y, w)]), iota) == walked(here, iota)
    with pytest.raises(KindError, match=r"X must be an array, not list\.\n"):
        kappa.sample([[1.0, 2.0]], y)
    with pytest.raises(FrameError, match="names no input space"):
        Parameterization([iota]).sample(numbers)


def test_one_shot_iterators_are_refused() -> None:
    _, iota = space_and_frame()

    def batches() -> Iterator[tuple[Any, None]]:
        yield np.ones((2, 2)), None

    with pytest.raises(KindError, match=r"re-iterable(.|\n)*makes a fresh iterator"):
        Sample.from_batches(batches(), iota)
    assert len(walked(Sample.from_batches(batches, iota), iota)) == 2
    with pytest.raises(KindError, match="not int"):
        Sample.from_batches(3, iota)


def test_empty_data_are_refused() -> None:
    _, iota = space_and_frame()
    with pytest.raises(ValuesError, match="at least one datum"):
        Sample.from_coordinates(np.ones((0, 2)), None, iota)
    for batches in ([], [(np.ones((0, 2)), None)]):
        with pytest.raises(ValuesError, match="the batches held none"):
            list(Sample.from_batches(batches, iota).chunks())


def test_data_of_the_wrong_shape_or_kind_are_refused() -> None:
    _, iota = space_and_frame()
    X, y, w = data(3)
    with pytest.raises(ShapeError, match=r"\(\*batch, 2\), not \(3, 5\)"):
        Sample.from_coordinates(np.ones((3, 5)), y, iota)
    with pytest.raises(ShapeError, match=r"one batch axis: shape \(N, 2\)"):
        Sample.from_coordinates(X[0], None, iota)
    with pytest.raises(ShapeError, match=r"points : 3\n  targets: shape \(2,\)"):
        Sample.from_coordinates(X, y[:2], iota)
    with pytest.raises(ShapeError, match=r"weights must have shape \(3,\)"):
        Sample.from_coordinates(X, y, iota, weights=w[:2])
    with pytest.raises(ValuesError, match="some are negative"):
        Sample.from_coordinates(X, y, iota, weights=-w)
    with pytest.raises(ValuesError, match="must not sum to zero"):
        Sample.from_coordinates(X, y, iota, weights=0 * w)
    with pytest.raises(KindError, match="targets must be an array, not list"):
        Sample.from_coordinates(X, [1, 2, 3], iota)
    with pytest.raises(KindError, match="float32"):
        Sample.from_coordinates(X, y, iota, weights=w.astype(np.float32))
    with pytest.raises(ValuesError, match="finite"):
        Sample.from_coordinates(X * np.nan, y, iota)
    with pytest.raises(KindError, match="integers"):
        Sample.from_coordinates(X.astype(int), y, iota)
    with pytest.raises(SpaceMismatchError, match="the frame of a sample is of another type"):
        Sample.from_coordinates(X, y, "iota")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="each batch must be a tuple"):
        list(Sample.from_batches([X], iota).chunks())


@pytest.mark.parametrize("size", [0, -1, 2.0, True])
def test_the_chunk_size_is_a_positive_int(size: Any) -> None:
    _, iota = space_and_frame()
    with pytest.raises(ValuesError, match="positive int"):
        list(Sample.from_coordinates(np.ones((3, 2)), None, iota).chunks(size))


def test_samples_share_their_arrays() -> None:
    _, iota = space_and_frame()
    X = np.ones((3, 2))
    (chunk,) = Sample.from_coordinates(X, None, iota).chunks()
    assert np.shares_memory(chunk.points.coordinates(iota), X)
