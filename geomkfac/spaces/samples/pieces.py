"""Parts of a sample that have not been read yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.dispatch import namespace_of
from geomkfac.arrays.mapped import read_rows, rows_of
from geomkfac.arrays.namespace import Namespace
from geomkfac.spaces.element import Point
from geomkfac.spaces.frames.change import map_components
from geomkfac.spaces.frames.frame import Frame
from geomkfac.spaces.samples.rounding import Rounded, extremes, rounding_in
from geomkfac.spaces.samples.targets import map_targets, slice_targets


@final
@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Consecutive data of a sample.

    Attributes
    ----------
    first : index of the first datum in the sample
    points : Point of batch shape (N,)
    targets : array whose first axis has length N, a tuple or dict of such, or None
    weights : array (N,), not normalised, or None for ones
    lengths : integers (N,), how many steps of each sequence count, or None for all
    rounded : what storing the points in their frame did to them; None where that is one rounding
    """

    first: int
    points: Point
    targets: Any
    weights: Array | None
    lengths: Any = None
    rounded: Rounded | None = None

    @property
    def count(self) -> int:
        """The number of data."""
        return self.points.batch_shape[0]

    @property
    def weighted(self) -> Sequence[int]:
        """Which of the data have a weight other than 0, counted within this chunk."""
        if self.weights is None:
            return range(self.count)
        return [index for index, weight in enumerate(namespace_of(self.weights).to_numpy(self.weights)) if weight]

    @property
    def ends(self) -> bytes | None:
        """The numbers of the first and of the last datum, where these are on the host: other data have others."""
        points: Any = self.points
        components = getattr(points, "_components", None)
        if not self.count or not hasattr(components, "tobytes"):
            return None
        rows: Any = components
        return bytes(rows[0, ...].tobytes() + rows[-1, ...].tobytes())

    def part(self, start: int, stop: int) -> Chunk:
        """The data from `start` up to `stop`, counted within this chunk."""
        rows = slice(start, stop)
        return Chunk(
            self.first + start,
            self.points[rows],
            slice_targets(self.targets, start, stop),
            None if self.weights is None else self.weights[rows],
            None if self.lengths is None else self.lengths[rows],
            self.rounded,
        )

    def stored_in(self, frame: Frame) -> Chunk:
        """The same data, the points stored in `frame`.

        Raises
        ------
        ConditioningError : in that frame the first of them, or the largest, would lose what they say.
        """
        there, rounded = self.points.expressed_in(frame), None
        if not self.points.kind.is_exact:
            ns, numbers = self.points.namespace, extremes(there, frame)
            looked_at = map_components(lambda x: ns.take(x, numbers, 0), self.points._components)
            rounded = rounding_in(self.points.with_components(looked_at), self.rounded, frame)
        return replace(self, points=there, rounded=rounded)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Consecutive data of a sample, before they are read.

    It may be sent to another process: with its numbers where they are in memory, with their place in a file
    where they are mapped.

    Attributes
    ----------
    first : index of the first datum in the sample
    count : the number of data
    """

    first: int
    count: int
    _load: Callable[[], Chunk]

    def load(self) -> Chunk:
        """The data.

        Raises
        ------
        ValuesError : what is read from a file now holds NaN or infinities.
        """
        return self._load()

    def after(self, first: int) -> Piece:
        """The data from number `first` of the sample on, which is one of these."""
        return Piece(first, self.first + self.count - first, _Rest(self._load, first - self.first, self.count))

    def stored_in(self, frame: Frame) -> Piece:
        """The same data, whose points will be stored in `frame`."""
        return Piece(self.first, self.count, _Expressed(self._load, frame))


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """Data in memory, which were checked when they came."""

    chunk: Chunk

    def __call__(self) -> Chunk:
        return self.chunk


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Rest:
    """Data that are loaded with others before them."""

    load: Callable[[], Chunk]
    start: int
    stop: int

    def __call__(self) -> Chunk:
        return self.load().part(self.start, self.stop)


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Expressed:
    """Data that are to be stored in another frame."""

    load: Callable[[], Chunk]
    frame: Frame

    def __call__(self) -> Chunk:
        return self.load().stored_in(self.frame)


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Unread:
    """Rows of arrays of which one or more are mapped; `check` makes a chunk of them."""

    check: Callable[..., Chunk]
    first: int
    points: Any
    targets: Any
    weights: Any
    frame: Frame
    lengths: Any

    def __call__(self) -> Chunk:
        points, targets = read_rows(self.points), map_targets(read_rows, self.targets)
        return self.check(self.first, points, targets, self.weights, self.frame, self.lengths)


def pieces_of_chunk(chunk: Chunk, size: int | None) -> Iterator[Piece]:
    """A chunk in pieces of at most `size`; None for one piece."""
    if size is None or chunk.count <= size:
        yield Piece(chunk.first, chunk.count, _Held(chunk))
        return
    for start in range(0, chunk.count, size):
        part = chunk.part(start, min(start + size, chunk.count))
        yield Piece(part.first, part.count, _Held(part))


def pieces_of_files(
    check: Callable[..., Chunk],
    count: int,
    points: Any,
    targets: Any,
    weights: Any,
    frame: Frame,
    lengths: Any,
    size: int | None,
) -> Iterator[Piece]:
    """Mapped arrays in pieces of at most `size`, which are read, and checked, when they are loaded."""
    for start in range(0, count, size or count):
        stop = min(start + (size or count), count)
        read_later = partial(rows_of, start=start, stop=stop)
        yield Piece(
            start,
            stop - start,
            _Unread(
                check,
                start,
                read_later(points),
                map_targets(read_later, targets),
                None if weights is None else weights[start:stop],
                frame,
                None if lengths is None else lengths[start:stop],
            ),
        )


def chunk_weights(chunk: Chunk, ns: Namespace) -> Array:
    """The weights of a chunk, ones where none were given."""
    return ns.ones((chunk.count,)) if chunk.weights is None else chunk.weights
