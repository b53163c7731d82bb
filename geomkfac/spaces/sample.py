"""Weighted samples: a batch of points with their targets, from arrays or streamed.

A sample may be walked through again and again, in chunks.  Datum i keeps its index whatever the
chunk size, so that random draws depend on (seed, index) alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, final

from geomkfac.arrays.namespace import Array, Namespace
from geomkfac.errors import KindError, ShapeError, SpaceMismatchError, ValuesError
from geomkfac.spaces.element import Point
from geomkfac.spaces.frame import Frame
from geomkfac.spaces.space import Space

__all__ = ["Chunk", "Sample"]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Consecutive data of a sample.

    Attributes
    ----------
    first : index of the first datum in the sample
    points : Point of batch shape (N,)
    targets : array whose first axis has length N, or None
    weights : array (N,), not normalised, or None for ones
    lengths : integers (N,), how many steps of each sequence count, or None for all
    """

    first: int
    points: Point
    targets: Any
    weights: Array | None
    lengths: Any = None

    @property
    def count(self) -> int:
        """The number of data."""
        return self.points.batch_shape[0]


@final
class Sample:
    """Points of one space with targets and weights.  Arrays are shared, not copied.

    Made by `from_coordinates`, `from_batches`, or ``Parameterization.sample(X, y)``.

    Parameters
    ----------
    space : the space of the points
    chunks : a callable that gives a fresh iterator over chunks each time
    """

    __slots__ = ("_chunks", "count", "space")

    def __init__(self, space: Space, chunks: Callable[[], Iterator[Chunk]], count: int | None) -> None:
        self.space, self._chunks, self.count = space, chunks, count

    @staticmethod
    def from_coordinates(
        points: Array, targets: Any, frame: Frame, *, weights: Array | None = None, lengths: Any = None
    ) -> Sample:
        """A sample held in memory.

        Parameters
        ----------
        points : array, shape (N, *slots)
        targets : array of first axis N, or None; what it must hold is for the output family to say
        frame : Frame of the space of the points
        weights : array, shape (N,), nonnegative, not all zero; they are normalised wherever a mean is taken
        lengths : integers (N,), how many steps of each sequence count, where the points are sequences (of a
            PowerSpace with one axis); None for all

        Raises
        ------
        ShapeError, KindError, ValuesError
        """
        chunk = _checked_chunk(0, points, targets, weights, frame, lengths)
        if chunk.count == 0:
            raise ValuesError("a sample needs at least one datum; none came.")
        _check_positive(chunk)
        return Sample(frame.space, lambda: iter((chunk,)), chunk.count)

    @staticmethod
    def from_batches(batches: Any, frame: Frame) -> Sample:
        """A sample streamed from batches ``(points, targets)`` or ``(points, targets, weights)``.

        Parameters
        ----------
        batches : an iterable that can be walked through again (a list, a data loader), or a callable
            that returns a fresh iterator each time; a one-shot iterator is refused
        frame : Frame of the space of the points
        """
        if isinstance(batches, Iterator):
            raise KindError(
                "batches must be re-iterable: a one-shot iterator is empty on its second pass.\n"
                "Pass the list or loader itself, or a callable that makes a fresh iterator."
            )
        if not callable(batches) and not isinstance(batches, Iterable):
            raise KindError(f"batches must be an iterable or a callable, not {type(batches).__name__}.")

        def walk() -> Iterator[Chunk]:
            first = 0
            for batch in batches() if callable(batches) else batches:
                if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
                    raise ShapeError(
                        "each batch must be a tuple (points, targets) or (points, targets, weights)."
                    )
                points, targets, *rest = batch
                chunk = _checked_chunk(first, points, targets, rest[0] if rest else None, frame)
                if chunk.count:
                    yield chunk
                first += chunk.count
            if first == 0:
                raise ValuesError("a sample needs at least one datum; the batches held none.")

        return Sample(frame.space, walk, None)

    def chunks(self, size: int | None = None) -> Iterator[Chunk]:
        """Walk through the data in chunks of at most `size`; None for chunks as they are stored."""
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise ValuesError(f"the chunk size must be a positive int, not {size!r}.")
        for chunk in self._chunks():
            if size is None or chunk.count <= size:
                yield chunk
                continue
            for start in range(0, chunk.count, size):
                stop = min(start + size, chunk.count)
                yield Chunk(
                    chunk.first + start,
                    chunk.points[start:stop],
                    None if chunk.targets is None else chunk.targets[start:stop, ...],
                    None if chunk.weights is None else chunk.weights[start:stop],
                    None if chunk.lengths is None else chunk.lengths[start:stop],
                )

    def expressed_in(self, frame: Any) -> Sample:
        """The same sample, its points stored in `frame`."""
        own = self.space._own_frame(frame)

        def walk() -> Iterator[Chunk]:
            for chunk in self._chunks():
                points = chunk.points.expressed_in(own)
                yield Chunk(chunk.first, points, chunk.targets, chunk.weights, chunk.lengths)

        return Sample(self.space, walk, self.count)

    def __repr__(self) -> str:
        count = "streamed" if self.count is None else f"{self.count} data"
        return f"Sample of {self.space!r}, {count}"


def chunk_weights(chunk: Chunk, ns: Namespace) -> Array:
    """The weights of a chunk, ones where none were given."""
    return ns.ones((chunk.count,)) if chunk.weights is None else chunk.weights


def _checked_chunk(
    first: int, points: Any, targets: Any, weights: Any, frame: Frame, lengths: Any = None
) -> Chunk:
    if not isinstance(frame, Frame):
        raise SpaceMismatchError(
            f"a sample needs a Frame of the space of its points.\n  came: {type(frame).__name__}"
        )
    checked: Point = frame.space._make(*frame.space._admitted(points, frame))
    if len(checked.batch_shape) != 1:
        raise ShapeError(
            "points of a sample must have one batch axis: shape "
            f"(N, {', '.join(map(str, frame.space.slots))}); "
            f"the batch shape is {checked.batch_shape}."
        )
    count = checked.batch_shape[0]
    if targets is not None:
        shape = getattr(targets, "shape", None)
        if shape is None:
            raise KindError(
                f"targets must be an array, not {type(targets).__name__}; convert with numpy.asarray."
            )
        if not shape or shape[0] != count:
            raise ShapeError(
                f"a sample has one target per point.\n  points : {count}\n  targets: shape {tuple(shape)}"
            )
    if weights is not None:
        weights = checked._ns.asarray(weights, what="weights of the sample")
        if tuple(weights.shape) != (count,):
            raise ShapeError(f"weights must have shape ({count},), not {tuple(weights.shape)}.")
        if checked._ns.epsilon:
            ordered = checked._ns.ordered("weights")
            if count and float(ordered.max(-weights)) > 0:
                raise ValuesError("weights must be nonnegative; some are negative.")
    return Chunk(first, checked, targets, weights, None if lengths is None else _checked_lengths(lengths, checked))


def _checked_lengths(lengths: Any, points: Point) -> tuple[int, ...]:
    grid: tuple[int, ...] = getattr(points.space, "grid", ())
    count = points.batch_shape[0]
    if len(grid) != 1:
        raise ShapeError(f"lengths are for sequences, points of a PowerSpace with one axis, not of {points.space!r}.")
    values = tuple(lengths.tolist() if hasattr(lengths, "tolist") else lengths)
    if len(values) != count:
        raise ShapeError(f"one length for every sequence is required: {count}; came {len(values)}.")
    for index, length in enumerate(values):
        if isinstance(length, bool) or not isinstance(length, int) or not 1 <= length <= grid[0]:
            raise ValuesError(
                f"the length of sequence {index} makes no sense.\n  required: an integer from 1 to {grid[0]}\n"
                f"  came    : {length!r}\nLeave empty sequences out."
            )
    return values


def _check_positive(chunk: Chunk) -> None:
    if chunk.weights is not None and chunk.points._ns.is_zero(chunk.points._ns.sum(chunk.weights)):
        raise ValuesError("the weights of a sample must not sum to zero.")
