"""Weighted samples: a batch of points with their targets, from arrays, from mapped files, or streamed.

A sample may be walked through again and again, in chunks.  Datum i keeps its index whatever the
chunk size, so that random draws depend on (seed, index) alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, final
from weakref import ref

from geomkfac.arrays.array import Array
from geomkfac.arrays.mapped import is_mapped, mapped_again, read_rows, rows_of
from geomkfac.counts import checked_count, is_count
from geomkfac.errors import KindError, ShapeError, ValuesError
from geomkfac.kept import Kept
from geomkfac.required import check_pickles, check_type, shown
from geomkfac.spaces.element import Point
from geomkfac.spaces.frames.frame import Frame
from geomkfac.spaces.samples.pieces import Chunk, Piece, pieces_of_chunk, pieces_of_files
from geomkfac.spaces.samples.targets import check_targets, map_targets, parts_of
from geomkfac.spaces.space import Space


@final
class Sample:
    """Points of one space with targets and weights.  Arrays are shared, not copied.

    Made by `from_coordinates`, `from_batches`, or ``Parameterization.sample(X, y)``.

    Attributes
    ----------
    space : the space of the points
    count : the number of data; None where they are streamed, and nobody has counted
    weights, lengths : of all data, where they are not streamed; None for ones, and for all steps
    """

    __slots__ = ("_kept", "_pieces", "count", "lengths", "space", "streamed", "weights")

    def __init__(
        self,
        space: Space,
        pieces: Callable[[int | None], Iterator[Piece]],
        count: int | None,
        *,
        weights: Array | None = None,
        lengths: tuple[int, ...] | None = None,
        streamed: bool = False,
    ) -> None:
        self.space, self._pieces, self.count, self._kept = space, pieces, count, Kept()
        self.weights, self.lengths, self.streamed = weights, lengths, streamed

    @staticmethod
    def from_coordinates(
        points: Array, targets: Any, frame: Frame, *, weights: Array | None = None, lengths: Any = None
    ) -> Sample:
        """A sample from arrays.

        Memory maps (``numpy.load(file, mmap_mode="r")``) stay in their files: chunks of them are read, and their
        values checked, one at a time, on every pass.

        Parameters
        ----------
        points : array, shape (N, *slots)
        targets : array of first axis N, a tuple or dict of such, or None; what they must hold is for the output
            family to say
        frame : Frame of the space of the points
        weights : array, shape (N,), nonnegative, not all zero; they are normalised wherever a mean is taken
        lengths : integers (N,), how many steps of each sequence count, where the points are sequences (of a
            PowerSpace with one axis); None for all

        Raises
        ------
        ShapeError, KindError, ValuesError
        """
        if any(is_mapped(array) for array in (points, *(part for _, part in parts_of(targets)))):
            return _from_files(points, targets, weights, frame, lengths)
        chunk = _checked_chunk(0, points, targets, weights, frame, lengths)
        if chunk.count == 0:
            raise ValuesError("a sample needs at least one datum; none came.")
        _check_positive(chunk.weights, chunk.points)
        return Sample(
            frame.space,
            partial(pieces_of_chunk, chunk),
            chunk.count,
            weights=chunk.weights,
            lengths=chunk.lengths,
        )

    @staticmethod
    def from_batches(batches: Any, frame: Frame, *, count: int | None = None) -> Sample:
        """A sample streamed from batches ``(points, targets)`` or ``(points, targets, weights)``.

        Parameters
        ----------
        batches : an iterable that can be walked through again (a list, a data loader), or a callable
            that returns a fresh iterator each time; a one-shot iterator is refused
        frame : Frame of the space of the points
        count : the number of data, where it is known: then the end of a pass can be estimated
        """
        if isinstance(batches, Iterator):
            raise KindError(
                "batches must be re-iterable: a one-shot iterator is empty on its second pass.\n"
                "Pass the list or loader itself, or a callable that makes a fresh iterator."
            )
        check_type("the frame of a sample", frame, Frame)
        if count is not None:
            checked_count("the number of data", count, advice="Leave it out where nobody knows it.")
        if not callable(batches) and not isinstance(batches, Iterable):
            raise KindError(f"batches must be an iterable or a callable, not {type(batches).__name__}.")
        return Sample(frame.space, _Streamed(batches, frame, count), count, streamed=True)

    def pieces(self, size: int | None = None) -> Iterator[Piece]:
        """Walk through the data in pieces of at most `size`, none of them read yet; None for pieces as they are stored.

        Streamed batches are read on the way, as they are in nobody else's hands.
        """
        if size is not None:
            checked_count("the chunk size", size)
        return self._pieces(size)

    def _known_at(self, weights: Point, network: Any) -> Any:
        """What was kept of the last pass at these weights of a network; None where the last one was another."""
        found = self._kept.get("pass")
        return found[2] if found is not None and found[0]() is weights and found[1]() is network else None

    def _keep_at(self, weights: Point, network: Any, known: Any) -> None:
        """Keep something of a pass, as long as its weights and network are there, and no other pass is kept."""
        self._kept["pass"] = ref(weights), ref(network), known

    def chunks(self, size: int | None = None) -> Iterator[Chunk]:
        """Walk through the data in chunks of at most `size`; None for chunks as they are stored."""
        for piece in self.pieces(size):
            yield piece.load()

    def expressed_in(self, frame: Any) -> Sample:
        """The same sample, its points stored in `frame`."""
        own = self.space.own_frame(frame)
        return Sample(
            self.space,
            _StoredIn(self._pieces, own),
            self.count,
            weights=self.weights,
            lengths=self.lengths,
            streamed=self.streamed,
        )

    def __repr__(self) -> str:
        count = "streamed" if self.count is None else f"{self.count} data"
        return f"Sample of {self.space!r}, {count}"


@final
@dataclass(frozen=True, slots=True, eq=False)
class _StoredIn:
    """The pieces of another sample, their points stored in another frame."""

    pieces: Callable[[int | None], Iterator[Piece]]
    frame: Frame

    def __call__(self, size: int | None) -> Iterator[Piece]:
        return (piece.stored_in(self.frame) for piece in self.pieces(size))


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Streamed:
    """The pieces of batches, which are read on the way."""

    batches: Any
    frame: Frame
    count: int | None

    def __call__(self, size: int | None) -> Iterator[Piece]:
        first = 0
        for batch in self.batches() if callable(self.batches) else self.batches:
            if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
                raise ShapeError("each batch must be a tuple (points, targets) or (points, targets, weights).")
            points, targets, *rest = batch
            chunk = _checked_chunk(first, points, targets, rest[0] if rest else None, self.frame)
            if self.count is not None and first + chunk.count > self.count:
                raise ValuesError(
                    f"the batches must hold {self.count} data, as was said; they hold {first + chunk.count} or more."
                )
            if chunk.count:
                yield from pieces_of_chunk(chunk, size)
            first += chunk.count
        if first == 0:
            raise ValuesError("a sample needs at least one datum; the batches held none.")
        if self.count is not None and first != self.count:
            raise ValuesError(f"the batches must hold {self.count} data, as was said; they held {first}.")

    def __deepcopy__(self, memo: Any) -> _Streamed:
        """Itself: the batches are in the hands of whoever made them."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if not isinstance(self.batches, list | tuple):
            check_pickles("what gives the batches of a sample", self.batches)
        return _Streamed, (self.batches, self.frame, self.count)


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Filed:
    """The pieces of arrays of which some are mapped.  Pickled, these are places in their files."""

    count: int
    points: Any
    targets: Any
    weights: Any
    frame: Frame
    lengths: Any

    def __call__(self, size: int | None) -> Iterator[Piece]:
        arrays = (self.points, self.targets, self.weights, self.frame, self.lengths)
        return pieces_of_files(_checked_chunk, self.count, *arrays, size)

    def __reduce__(self) -> tuple[Any, ...]:
        all_rows = partial(rows_of, start=0, stop=self.count)
        points, targets = all_rows(self.points), map_targets(all_rows, self.targets)
        return _filed_again, (self.count, points, targets, self.weights, self.frame, self.lengths)


def _filed_again(count: int, points: Any, targets: Any, *others: Any) -> _Filed:
    return _Filed(count, mapped_again(points), map_targets(mapped_again, targets), *others)


def _checked_chunk(
    first: int, points: Any, targets: Any, weights: Any, frame: Frame, lengths: Any = None
) -> Chunk:
    check_type("the frame of a sample", frame, Frame)
    checked: Point = frame.space.from_components(*frame.space._admitted(points, frame))
    if len(checked.batch_shape) != 1:
        raise ShapeError(
            "points of a sample must have one batch axis: shape "
            f"(N, {', '.join(map(str, frame.space.slots))}); "
            f"the batch shape is {checked.batch_shape}."
        )
    count = checked.batch_shape[0]
    if targets is not None:
        check_targets(targets, count)
    if weights is not None:
        weights = _checked_weights(checked, weights, count)
    if lengths is not None:
        lengths = _checked_lengths(lengths, frame.space, count)
    return Chunk(first, checked, targets, weights, lengths)


def _from_files(points: Any, targets: Any, weights: Any, frame: Frame, lengths: Any) -> Sample:
    """A sample of which points or targets are mapped; only the first datum is read here."""
    count = points.shape[0] if points.ndim else 0
    if not count:
        raise ValuesError(f"a sample needs at least one datum; the points have shape {tuple(points.shape)}.")
    one = _checked_chunk(0, read_rows(rows_of(points, 0, 1)), None, None, frame)
    if targets is not None:
        check_targets(targets, count)
    if weights is not None:
        weights = _checked_weights(one.points, weights, count)
        _check_positive(weights, one.points)
    if lengths is not None:
        lengths = _checked_lengths(lengths, frame.space, count)

    walk = _Filed(count, points, targets, weights, frame, lengths)
    return Sample(frame.space, walk, count, weights=weights, lengths=lengths)


def _checked_weights(points: Point, weights: Any, count: int) -> Array:
    checked = points.namespace.asarray(weights, what="weights of the sample")
    if tuple(checked.shape) != (count,):
        raise ShapeError(f"weights must have shape ({count},), not {tuple(checked.shape)}.")
    if not points.namespace.kind.is_exact and count and float(points.namespace.ordered("weights").max(-checked)) > 0:
        raise ValuesError("weights must be nonnegative; some are negative.")
    return checked


def _checked_lengths(lengths: Any, space: Space, count: int) -> tuple[int, ...]:
    grid: tuple[int, ...] = getattr(space, "grid", ())
    if len(grid) != 1:
        raise ShapeError(f"lengths are for sequences, points of a PowerSpace with one axis, not of {space!r}.")
    listed = lengths.tolist() if hasattr(lengths, "tolist") else lengths
    values = tuple(listed) if isinstance(listed, Iterable) else ()
    if len(values) != count:
        came = len(values) if isinstance(listed, Iterable) else repr(listed)
        raise ShapeError(f"one length for every sequence is required: {count}; came {came}.")
    for index, length in enumerate(values):
        if not is_count(length) or length > grid[0]:
            raise ValuesError(
                f"the length of sequence {index} makes no sense.\n  required: an integer from 1 to {grid[0]}\n"
                f"  came    : {shown(length)}\nLeave empty sequences out."
            )
    return values


def _check_positive(weights: Array | None, points: Point) -> None:
    if weights is not None and points.namespace.is_zero(points.namespace.sum(weights)):
        raise ValuesError("the weights of a sample must not sum to zero.")
