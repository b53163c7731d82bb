"""The points about which sums over data are taken, and their units.

A second moment E[a (x) a] is a form on a hull, and its sum may be taken in any frame.  About the origin of a frame that
lies far from the data, a timestamp's for instance, it loses what the data say: the mean outweighs the rest.  So a layer
whose inputs lie far from the origin, or have units far from 1, gets a frame of its own for the sums: its origin lies
among the first data, and its units are theirs.  Which data come in a chunk plays no part.  Over exact kinds the frame
is the layer's own.
Source: LG 3.1; Chan, Golub, LeVeque 1983 on sums about a point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.floats.units import powers_of_two
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.errors import ConditioningError
from geomkfac.maps.affine import AffineMaps
from geomkfac.networks.passes.layer_inputs import Use
from geomkfac.networks.passes.layers import Layer
from geomkfac.spaces import BaseFrame, Frame, PowerSpace
from geomkfac.spaces.frames.frame import derived_frame, frame_about
from geomkfac.spaces.samples.rounding import Doubt, root_mean_square

FIRST_DATA = 1000
"""Among so many data the reference points are chosen; among all, where there are fewer."""

EVERY, OF_FIRST = 8, 128
"""Of these, the very first and then every eighth are looked at, by their number: chunks play no part."""

OF_PLACES = 16
"""At so many places, at most, inputs are looked at, evenly over all."""

FAR = 1 / 6
"""An origin is far from the data from epsilon ** -FAR standard deviations on: a third of the digits of a square."""

ORDINARY = 2.0**32
"""Standard deviations from one over this to this need no other unit: powers of two change no digit."""


KNOWN = 2.0**-10
"""To so much of their size inputs must be known, whatever rounds them."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Where the sums of one layer are taken.

    Attributes
    ----------
    frame : of the weight space of the layer; its part on the inputs has its origin among the data
    origin, per_unit : arrays (n,), coordinates of that origin in the layer's own frame, and one over the units; None
        where the frame is the layer's own
    noise : array (n,), the standard deviation of what the inputs were rounded by, in `frame`; None where nobody asked
    doubt : why second moments may show a direction as null that is none; None where nothing says so
    """

    frame: Frame
    origin: Array | None = None
    per_unit: Array | None = None
    noise: Array | None = None
    doubt: Doubt | None = None

    def about(self, ns: Namespace, use: Use) -> Use:
        """What the layer saw, in the frame of the sums."""
        if self.origin is None:
            return use
        return use.moved(ns, self.origin, self.per_unit)


class Taken(Protocol):
    """Sums that were taken somewhere."""

    @property
    def frame(self) -> Frame: ...

    @property
    def noise(self) -> Array | None: ...

    @property
    def doubt(self) -> Doubt | None: ...


@final
class FirstInputs:
    """What the layers took of the first data: how far from their origins it lies, and how wide it is spread.

    Data of weight 0 are none.

    Attributes
    ----------
    count : data so far
    """

    __slots__ = ("_inputs", "_layers", "_ns", "count")

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers, self._ns = layers, layers[0].omega.namespace
        self._inputs: list[list[Array]] = [[] for _ in layers]
        self.count = 0

    def add(self, uses: Sequence[Use], data: Sequence[int]) -> None:
        """Add what the layers took of a chunk, of which these `data` have weight."""
        chosen = _looked_at(data[: FIRST_DATA - self.count], self.count)
        self.count += len(data)
        for layer, inputs, use in zip(self._layers, self._inputs, uses, strict=True):
            if chosen and single(layer.space.domain).dim:
                inputs.append(_inputs(self._ns, layer, use, chosen))

    def references(self, noise: Callable[[], Sequence[Array | None]]) -> tuple[Reference, ...]:
        """The reference of every layer.

        Parameters
        ----------
        noise : measures, for each layer, the standard deviation of what rounding does to its inputs, (n,); it is asked
            only where a layer gets a frame of its own

        Raises
        ------
        ConditioningError : inputs are too large for their squares to be summed, or are nothing but rounding.
        """
        ns = self._ns.ordered("a reference point")
        wide = ns.wide.ordered("a reference point")
        inputs = [(one[0] if len(one) == 1 else ns.concat(one, axis=0)) if one else None for one in self._inputs]
        if all(_are_near(ns, rows) for rows in _side_by_side(ns, inputs)):
            return tuple(Reference(layer.frame) for layer in self._layers)
        spreads = [None if rows is None else _Spread(ns, rows) for rows in inputs]
        found = [None if spread is None else spread.found(ns) for spread in spreads]
        if not any(found):
            return tuple(Reference(layer.frame) for layer in self._layers)
        made = []
        for index, (layer, spread, own, measured) in enumerate(
            zip(self._layers, spreads, found, noise(), strict=True)
        ):
            if measured is not None and spread is not None:
                spread.require_known(ns, measured, index)
            if own is None or not isinstance(_single(layer.frame), BaseFrame):
                made.append(Reference(layer.frame, noise=measured))
                continue
            origin, units, deviation = own
            if measured is not None:
                # What is nothing but rounding has no unit.
                units = wide.where(deviation > 2.0 * wide.cast(measured), units, 1.0)
            made.append(_about(ns, layer.space, layer.frame, origin, units, measured))
        return tuple(made)


def _looked_at(data: Sequence[int], first: int) -> Sequence[int]:
    """Of data, of which the first has this number, those that are looked at."""
    if len(data) + first <= OF_FIRST:
        return data
    return [index for number, index in enumerate(data, first) if number < OF_FIRST or number % EVERY == 0]


def _side_by_side(ns: Namespace, inputs: Sequence[Array]) -> list[Array]:
    """Inputs (rows, n) of all layers, those of equally many rows in one array."""
    groups: dict[int, list[Array]] = {}
    for rows in inputs:
        if rows is not None:
            groups.setdefault(rows.shape[0], []).append(rows)
    return [group[0] if len(group) == 1 else ns.concat(group, axis=1) for group in groups.values()]


def _are_near(ns: OrderedNamespace, rows: Array) -> bool:
    """Whether the origin is surely near enough to all inputs (N, n), and their units are ordinary; in few operations.

    By squares about the origin: where that is far they cancel, and show too little variance.
    """
    count = rows.shape[0]
    if not ns.norm(rows) < ORDINARY:
        return False
    ones = ns.ones((count,))
    sums, squares = ns.matmul(ones, rows), ns.matmul(ones, rows * rows)
    # With mean and variance m and v, count^2 m^2 and count^2 (v + m^2).
    far, all_of_it = sums * sums, squares * count
    # Half as far as what gets a frame of its own counts as far here, as rounding may hide as much.
    is_far = far * (1.0 + 4.0 * ns.epsilon ** (2 * FAR)) > all_of_it
    is_narrow = all_of_it - far < (2 * count / ORDINARY) ** 2
    return not ns.count((is_far | is_narrow) & ((squares > 0) | (sums != 0)))


@final
class _Spread:
    """The first inputs of one layer, (N, n), as deviations from the very first."""

    __slots__ = ("deviation", "mean", "pivot")

    def __init__(self, ns: OrderedNamespace, rows: Array) -> None:
        wide: Any = ns.wide
        self.pivot = wide.cast(ns.copy(rows[0, ...]))
        deviations = wide.cast(rows - rows[0, ...])
        # Squares are of numbers near 1, whatever the unit.
        largest = wide.max(wide.abs(deviations), axis=0)
        sizes = wide.where(largest > 0, largest, 1.0)
        deviations = deviations / sizes
        mean = wide.row_sum(deviations) / rows.shape[0]
        square = wide.row_sum(deviations * deviations) / rows.shape[0]
        self.mean = mean * sizes
        self.deviation = wide.sqrt(wide.maximum(square - mean * mean, 0.0)) * sizes

    def found(self, ns: OrderedNamespace) -> tuple[Array, Array, Array] | None:
        """Origin, units and deviation (n,); None where the layer's own frame is as good."""
        wide: Any = ns.wide
        pivot, mean, deviation = self.pivot, self.mean, self.deviation
        odd = (deviation > ORDINARY) | ((deviation < 1 / ORDINARY) & (deviation > 0))
        if not wide.count((wide.abs(pivot + mean) > ns.epsilon**-FAR * deviation) | odd):
            return None
        # One over a unit is a number too.
        units = wide.where(deviation > 0, wide.maximum(powers_of_two(wide, deviation), smallest_unit(ns)), 1.0)
        # A constant input is its own origin, exactly; of others the origin has few digits, in whatever order one adds.
        origin = wide.where(deviation > 0, wide.floor((pivot + mean) / units + 0.5) * units, pivot)
        ordinary = (units >= 1 / ORDINARY) & (units <= ORDINARY)
        return origin, wide.where(ordinary, 1.0, units), deviation

    def require_known(self, ns: OrderedNamespace, noise: Array, index: int) -> None:
        """Refuse inputs that are mostly rounding."""
        wide: Any = ns.wide
        size = float(wide.max(wide.maximum(self.deviation, wide.abs(self.pivot + self.mean))))
        largest = float(ns.max(noise))
        # Where all are 0 exactly, what cancels is no matter of digits.
        if size and largest > KNOWN * size:
            worst = int(ns.argmax(noise, axis=0))
            raise ConditioningError(
                f"rounding in {ns.name} reaches the inputs of layer {index + 1}.\n"
                f"  required: inputs known to {KNOWN:.0e} of their size, {size:.3g}\n"
                f"  came    : coordinate {worst} known to {largest:.1e}, as the data lie far from the origin for their "
                "spread, or the weights cancel\n"
                "Move the origin of the data to their mean (iota.centered), or compute in float64."
            )


def smallest_unit(ns: Namespace) -> float:
    """The smallest power of two that, and one over which, are numbers of full precision."""
    return 2.0 ** (-126 if ns.epsilon > 1e-10 else -1022)


def continued(ns: Namespace, space: AffineMaps, own: Frame, saved: Taken) -> Reference:
    """The reference in which sums go on that were `saved`, for a layer whose own frame is `own`."""
    base, there, noise = _single(own), _single(saved.frame), saved.noise
    if ns.kind.is_exact or saved.frame is own or not isinstance(base, BaseFrame) or not isinstance(there, BaseFrame):
        return Reference(own, noise=noise, doubt=saved.doubt)
    matrix, translation = there.change_from(base)
    numbers = base.space.kind.default_namespace
    if numbers.equal(matrix, numbers.eye(base.space.dim) * numbers.diagonal(matrix)):
        units = 1.0 / numbers.diagonal(matrix)
        origin = -translation * units
    else:
        origin, noise = numbers.solve(matrix, -translation[:, None])[:, 0], None
        units = numbers.ones(origin.shape)
    found = _about(ns.ordered("a reference point"), space, own, origin, units, None)
    return replace(found, noise=found.noise if noise is None else noise, doubt=saved.doubt)


def carried(ns: Namespace, noise: Array | None, source: Frame, target: Frame) -> Array | None:
    """What inputs were rounded by, (n,), in another frame of the weight space."""
    old, new = _single(source), _single(target)
    if noise is None or source is target or not isinstance(old, BaseFrame) or not isinstance(new, BaseFrame):
        return noise
    matrix = ns.cast(new.change_from(old)[0])
    return ns.ordered("rounding").sqrt(ns.matmul(matrix * matrix, noise * noise))


def _about(
    ns: OrderedNamespace, space: AffineMaps, own: Frame, origin: Array, units: Array, measured: Array | None
) -> Reference:
    """The reference about an origin (n,), in units (n,), both in the layer's own frame."""
    rounded, per_unit = ns.cast(origin), ns.cast(1.0 / units)
    noise = ns.epsilon * ns.abs(rounded)
    if measured is not None:
        noise = ns.maximum(noise, measured)
    scaled = None if ns.equal(per_unit, ns.ones(per_unit.shape)) else per_unit
    return Reference(layer_frame_about(space, own, rounded, scaled), rounded, scaled, noise * per_unit)


def layer_frame_about(space: AffineMaps, own: Frame, origin: Array | None, per_unit: Array | None) -> Frame:
    """The frame of a layer's weight space whose part on the inputs is ``(a - origin) * per_unit`` of its own one.

    Parameters
    ----------
    origin, per_unit : arrays (n,), as in `Reference`; None, both, for the own frame, and for units of 1
    """
    if origin is None:
        return own
    frame: Frame = frame_about(_single(own), origin, per_unit)
    if isinstance(space.domain, PowerSpace):
        frame = derived_frame(space.domain, (frame,))
    return derived_frame(space, (frame, own.parts[1]))


def rounding(
    ns: OrderedNamespace, layers: Sequence[Layer], uses: Sequence[Use], disturbed: Sequence[Use], data: Sequence[int]
) -> list[Array]:
    """For each layer what its inputs move, in the root mean square over `data`, where these move by one rounding, (n,).

    `disturbed` is of the first data of `uses`, moved so.
    """
    found = []
    for layer, use, other in zip(layers, uses, disturbed, strict=True):
        if not single(layer.space.domain).dim:
            found.append(ns.zeros((0,)))
            continue
        moved = _inputs(ns, layer, other, data) - _inputs(ns, layer, use, data)
        found.append(2.0 * root_mean_square(ns, moved))
    return found


def _inputs(ns: Namespace, layer: Layer, use: Use, data: Sequence[int]) -> Array:
    """Inputs of some of the data, (rows, n), at some of the places, of a power of a space at single ones."""
    part = use.inputs(slice(data[0], data[-1] + 1))
    if len(data) < part.shape[0]:
        part = ns.take(part, [index - data[0] for index in data], 0)
    n = single(layer.space.domain).dim
    if part.ndim == 2 and part.shape[1] == n:
        return part
    places = ns.reshape(part, (part.shape[0], -1, n))
    return ns.reshape(places[:, :: -(-places.shape[1] // OF_PLACES), :], (-1, n))


def single(space: Any) -> Any:
    """The space of single inputs: of a power the base."""
    return space.base if isinstance(space, PowerSpace) else space


def _single(frame: Frame) -> Any:
    """The frame of single inputs that a frame of the weight space is made of."""
    domain: Any = frame.parts[0]
    return domain.parts[0] if isinstance(domain.space, PowerSpace) else domain
