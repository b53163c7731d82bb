"""What rounding does to data that are stored in another frame, measured on a few of them.

Where the origin of a frame lies far from the data, or cancels what they were, coordinates in it are known to less than
their own last digit.  Moving a few data by one rounding, and looking how far their coordinates in the other frame move,
shows by how much, whatever the frames are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import OrderedNamespace
from geomkfac.arrays.random.draws import generator
from geomkfac.errors import ConditioningError
from geomkfac.spaces.element import Point
from geomkfac.spaces.frames.change import Components, map_components
from geomkfac.spaces.frames.frame import Frame

DISTURBED = 64
"""So many data show what rounding does."""

SHAKEN = 2.0**-6
"""Coordinates in a frame are moved by this part of their standard deviations, to see what of the data they hold."""

LOST = 2.0**-10
"""A change of frame may move no coordinate by more than this part of its standard deviation."""


@final
@dataclass(frozen=True, slots=True)
class Doubt:
    """Why second moments may show a direction as null that is none.

    Attributes
    ----------
    seen : the square of that direction in second moments scaled to unit diagonal
    why : which coordinate of the data it is, and in what frame
    """

    seen: float
    why: str


def least_seen(*doubts: Doubt | None) -> Doubt | None:
    """Of several doubts the gravest."""
    return min(filter(None, doubts), key=lambda doubt: doubt.seen, default=None)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Rounded:
    """What a change of frame did to data.

    Attributes
    ----------
    noise : standard deviations of what the components were rounded by, of the shape of one point's
    doubt : of the coordinate that second moments in the new frame see least of; None where they see all fully
    """

    noise: Components
    doubt: Doubt | None


def disturbed(points: Point, noise: Components | None) -> Point:
    """The same points, each coordinate moved up or down by one rounding, or by the `noise` that it has.

    Parameters
    ----------
    points : batch shape (N,), floating point
    noise : standard deviations, of the shape of one point's components; None for one rounding
    """
    ns, rng = points.namespace.ordered("rounding"), generator(0, "rounding")

    def moved(x: Array, known: Array | None) -> Array:
        signs = ns.sign(ns.cast_numpy(rng.random(tuple(x.shape)) - 0.5))
        sizes = ns.abs(x) * ns.epsilon
        return x + signs * (sizes if known is None else ns.maximum(sizes, known))

    components: Any = points.components_in(points.storage_frame.structured)
    if noise is None:
        noise = map_components(lambda x: None, components)
    return points.space.from_components(  # type: ignore[no-any-return]
        points.storage_frame.structured, map_components(moved, components, noise), ns
    )


def root_mean_square(ns: OrderedNamespace, x: Array) -> Array:
    """Over the first axis; of (N, ...) an array (...)."""
    largest = ns.max(ns.abs(x), axis=0)
    unit = ns.where(largest > 0, largest, 1.0)
    scaled = x / unit
    return unit * ns.sqrt(ns.row_sum(scaled * scaled) / max(1, x.shape[0]))


def rounding_in(points: Point, before: Rounded | None, frame: Frame) -> Rounded:
    """What storing data in `frame` does to them.

    Parameters
    ----------
    points : of the first data
    before : what was done to them before

    Raises
    ------
    ConditioningError : points in that frame would not say any more what these say.
    """
    ns, noise = points.namespace.ordered("rounding"), None if before is None else before.noise
    frame, source = frame.structured, points.storage_frame.structured
    there, other = (p.expressed_in(frame) for p in (points, disturbed(points, noise)))
    blurred: Point = points.space.from_components(frame, _shaken(ns, there, frame), ns)
    seen = [p.components_in(source) for p in (points, there, blurred)]
    known = map_components(lambda x: x[0, ...] * 0, seen[0]) if noise is None else noise
    doubts: list[Doubt] = [] if before is None or before.doubt is None else [before.doubt]

    def compare(x: Array, again: Array, blurred: Array, noise: Array) -> Array:
        count, size = x.shape[0], math.prod(x.shape[1:])
        own, back, far = (ns.reshape(part, (count, size)) for part in (x, again, blurred))
        if count and size:
            doubts.extend(_compared(ns, own, back, far, ns.reshape(noise, (size,)), frame))
        return noise

    map_components(compare, *seen, known)
    moved = [p.components_in(frame) for p in (there, other)]
    noise = map_components(lambda x, y: 2 * root_mean_square(ns, y - x), *moved)
    return Rounded(noise, least_seen(*doubts))


def extremes(points: Point, frame: Frame) -> list[int]:
    """Numbers of points (N,) that are the largest in some coordinate in `frame`, and of the first of all; few."""
    ns = points.namespace.ordered("rounding")
    found = set(range(min(DISTURBED, points.batch_shape[0])))

    def look(x: Array) -> Array:
        flat = ns.reshape(x, (x.shape[0], math.prod(x.shape[1:])))
        if flat.shape[0] and flat.shape[1]:
            largest = ns.to_numpy(ns.argmax(ns.abs(flat), axis=0)).tolist()
            found.update(largest[:: -(-len(largest) // DISTURBED)])
        return x

    map_components(look, points.components_in(frame.structured))
    return sorted(found)


def _shaken(ns: OrderedNamespace, points: Point, frame: Frame) -> Components:
    """Components in `frame`, each moved by the part SHAKEN of its standard deviation."""
    rng = generator(1, "rounding")

    def moved(x: Array) -> Array:
        spread = root_mean_square(ns, x - ns.row_sum(x / x.shape[0]))
        return x + ns.sign(ns.cast_numpy(rng.random(tuple(x.shape)) - 0.5)) * (spread * SHAKEN)

    return map_components(moved, points.components_in(frame))


def _compared(
    ns: OrderedNamespace, x: Array, again: Array, blurred: Array, noise: Array, frame: Frame
) -> Iterator[Doubt]:
    """Refuse coordinates (N, n) that do not come back from a frame; yield the one that second moments see least of."""
    mean = ns.row_sum(x / x.shape[0])
    spread = root_mean_square(ns, x - mean)
    # What varies by no more than its own rounding is a constant.
    varies = spread > 8 * ns.maximum(ns.abs(mean) * ns.epsilon, noise)
    unit = ns.where(varies, spread, 1.0)
    lost, shaken = (
        ns.where(varies, root_mean_square(ns, moved - x) / unit, 0.0) for moved in (again, blurred)
    )
    if float(ns.max(shaken)) > 0:
        worst = int(ns.argmax(shaken, axis=0))
        yield Doubt(
            (SHAKEN / float(shaken[worst])) ** 2,
            f"coordinate {worst} of the data has standard deviation {float(spread[worst]):.3g}, and in the frame "
            f"{frame.name!r} it is mixed with others so much larger that second moments in {ns.name} cannot tell it "
            "from zero.",
        )
    if float(ns.max(lost)) > LOST:
        worst = int(ns.argmax(lost, axis=0))
        raise ConditioningError(
            f"data stored in the frame {frame.name!r} would lose what they say, in {ns.name}.\n"
            f"  required: every coordinate kept to {LOST:.0e} of its standard deviation\n"
            f"  came    : coordinate {worst}, of mean {float(mean[worst]):.6g} and standard deviation "
            f"{float(spread[worst]):.3g}, comes back moved by {float(lost[worst]):.1e} of that\n"
            "Move the origin of the data among them first (iota.centered, or subtract a number), give the coordinates "
            "units of one size, or compute in float64."
        )
