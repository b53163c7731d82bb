"""From an architecture to spaces, frames and bound stages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import signature
from typing import Any, final

from geomkfac.arrays.borders import Borders, padding_of
from geomkfac.arrays.namespace import Kind
from geomkfac.arrays.windows import Windows, per_axis
from geomkfac.counts import checked_count
from geomkfac.errors import ShapeError, ValuesError
from geomkfac.maps import AffineMaps, CoordinatewiseMap, SmoothMap
from geomkfac.maps.activations.activation import Activation
from geomkfac.maps.activations.polynomials import identity
from geomkfac.networks.building.architecture import (
    Architecture,
    AveragePooling,
    Convolution,
    Dense,
    MaxPooling,
    Recurrence,
)
from geomkfac.networks.passes.stages import (
    ActivationStage,
    AverageStage,
    ConvolutionStage,
    DenseStage,
    MaxStage,
    Stage,
    product_frame,
    product_or_only,
)
from geomkfac.required import listed
from geomkfac.spaces import AffineSpace, BaseFrame, Frame, Point, PowerSpace

ActivationOf = Callable[[Frame, Frame], SmoothMap]


def activation_between(spec: str | Activation | ActivationOf, source: Frame, target: Frame) -> SmoothMap:
    """The activation of that name, coordinatewise in these frames; or the smooth map that a callable makes of them.

    Raises
    ------
    UnknownNameError : it is no activation, and makes no smooth map of two frames.
    """
    if callable(spec) and _takes_frames(spec):
        made = spec(source, target)
        if isinstance(made, SmoothMap):
            return made
    return CoordinatewiseMap(source, target, spec)  # type: ignore[arg-type]


def _takes_frames(spec: Any) -> bool:
    """Whether it is a function of two frames, and not numpy.tanh, say, or an activation's class."""
    if isinstance(spec, str | Activation | type) or type(spec).__name__ == "ufunc":
        return False
    try:
        signature(spec).bind(None, None)
    except (TypeError, ValueError):  # It takes others, or does not tell.
        return False
    return True


@final
class Builder:
    """Stages on spaces of their own, made one after the other.

    Parameters
    ----------
    grid : shape of the maps that go in
    channels : of the maps that go in
    architecture : stages, with channels and kernels filled in
    kind : kind of scalar

    Attributes
    ----------
    stages, frames : what has been made; the frames are those of iota, one per base space
    inputs : PowerSpace of whole maps
    """

    def __init__(self, grid: Sequence[int], channels: int, architecture: Architecture, kind: Kind) -> None:
        self._kind, self._todo = kind, list(architecture)
        self.stages: list[Stage] = []
        self.frames: list[BaseFrame] = []
        self._count = self._layers = 0
        self._space, self._frame = self._new("A0", channels, 1)
        self.inputs = PowerSpace(self._space, tuple(listed("the lengths of the grid", grid)))
        self._grid = self.inputs.grid
        for index, spec in enumerate(self._todo):
            self._add(index, spec)
        if not self._layers:
            raise ShapeError("a network needs at least one stage with weights: Convolution(...) or Dense(...).")
        if not isinstance(self._space, AffineSpace):
            self._regroup(1)

    @property
    def outputs(self) -> AffineSpace:
        """The space of the outputs."""
        outputs: AffineSpace = self._space
        return outputs

    # -- spaces ----------------------------------------------------------------------------------------
    def _new(self, name: str, dim: int, groups: int) -> tuple[Any, Frame]:
        """A space of `dim` channels, as a product where they stand in groups, and its frame."""
        if dim % groups:
            raise ShapeError(
                f"{dim} channels do not divide into {groups} groups.\n"
                "  required: a number of groups that divides the channels before and after the convolution\n"
                f"  came    : {dim} channels, groups={groups}"
            )
        names = [name] if groups == 1 else [f"{name}.{index}" for index in range(1, groups + 1)]
        spaces = [AffineSpace(label, dim // groups, self._kind) for label in names]
        frames = [space.frame("iota") for space in spaces]
        self.frames.extend(frames)
        space = product_or_only(spaces)
        return space, product_frame(space, frames)

    def _groups_ahead(self, index: int) -> int:
        """Into how many groups the next stage with weights wants its channels."""
        for spec in self._todo[index:]:
            if isinstance(spec, Convolution):
                return checked_count("groups", spec.groups)
            if not isinstance(spec, AveragePooling | MaxPooling):
                return 1
        return 1

    @property
    def _groups(self) -> int:
        return len(getattr(self._space, "factors", (None,)))

    def _regroup(self, groups: int) -> None:
        """The same channels in other groups: the identity, in iota."""
        space, frame = self._new(self._space.name + "'", self._space.dim, groups)
        self.stages.append(ActivationStage(CoordinatewiseMap(self._frame, frame, identity), self._grid))
        self._space, self._frame = space, frame

    # -- stages ----------------------------------------------------------------------------------------
    def _add(self, index: int, spec: Any) -> None:
        if isinstance(spec, Convolution):
            self._convolution(spec)
        elif isinstance(spec, Dense):
            self._dense(spec)
        elif isinstance(spec, AveragePooling):
            self._average(spec)
        elif isinstance(spec, MaxPooling):
            windows = self._pooled(spec.window, spec.stride, "max pooling")
            self._push(MaxStage(self._space, self._frame, windows))
        elif isinstance(spec, Recurrence):
            raise ValuesError("a recurrence is a network of its own, and no stage: use RecurrentNetwork.")
        else:
            self._activation(index, spec)

    def _push(self, stage: Stage) -> None:
        self.stages.append(stage)
        self._grid = stage.grid

    def _activation(self, index: int, spec: Any) -> None:
        space, frame = self._new(f"A{self._count}", self._space.dim, self._groups_ahead(index + 1))
        self._push(ActivationStage(activation_between(spec, self._frame, frame), self._grid))
        self._space, self._frame = space, frame

    def _pooled(self, window: Any, stride: Any, what: str) -> Windows:
        if not self._grid:
            raise ShapeError(f"{what} needs a map, and there is one place left; leave this stage out.")
        lengths = per_axis(window, len(self._grid), f"window of {what}")
        steps = lengths if stride is None else per_axis(stride, len(self._grid), f"stride of {what}")
        return Windows(self._grid, lengths, steps, (1,) * len(self._grid))

    def _average(self, spec: AveragePooling) -> None:
        if spec.window is None:
            whole = self._pooled(self._grid, None, "average pooling")
            self._push(AverageStage(self._space, whole, collapsed=True))
        else:
            self._push(AverageStage(self._space, self._pooled(spec.window, spec.stride, "average pooling")))

    def _dense(self, spec: Dense) -> None:
        if self._groups != 1:
            self._regroup(1)
        self._count += 1
        domain = PowerSpace(self._space, self._grid) if self._grid else self._space
        codomain, frame = self._new(f"Z{self._count}", _needed(spec.width, "Dense", "width"), 1)
        self._push(DenseStage(self._space, codomain, (AffineMaps(domain, codomain),), self._layers))
        self._space, self._frame, self._layers = codomain, frame, self._layers + 1

    def _convolution(self, spec: Convolution) -> None:
        if not self._grid:
            raise ShapeError("a convolution needs a map, and there is one place left.\nUse Dense instead.")
        groups, axes = checked_count("groups", spec.groups), len(self._grid)
        kernel = per_axis(_needed(spec.kernel, "Convolution", "kernel"), axes, "kernel")
        stride, dilation = per_axis(spec.stride, axes, "stride"), per_axis(spec.dilation, axes, "dilation")
        widths = padding_of(spec.padding, kernel, dilation)
        if self._groups != groups:
            self._regroup(groups)
        border, filled = self._border(spec)
        borders = Borders(self._grid, widths, filled)
        windows = Windows(borders.padded, kernel, stride, dilation)
        self._count += 1
        channels = _needed(spec.channels, "Convolution", "channels")
        codomain, frame = self._new(f"Z{self._count}", channels, groups)
        pairs = zip(_factors(self._space), _factors(codomain), strict=True)
        maps = tuple(AffineMaps(PowerSpace(a, kernel), z) for a, z in pairs)
        self._push(ConvolutionStage(self._space, codomain, maps, self._layers, borders, border, windows))
        self._space, self._frame, self._layers = codomain, frame, self._layers + groups

    def _border(self, spec: Convolution) -> tuple[Point | None, str]:
        """The point at the border, and how the border is filled."""
        if isinstance(spec.border, str) and spec.border != "zeros":
            return None, spec.border
        ns, dim = self._kind.default_namespace, self._space.dim
        flat = ns.zeros((dim,)) if isinstance(spec.border, str) else ns.asarray(spec.border, what="the border point")
        if tuple(flat.shape) != (dim,):
            raise ShapeError(
                f"a border point has one coordinate for every channel.\n  required: shape ({dim},)\n"
                f"  came    : shape {tuple(flat.shape)}"
            )
        point: Point = self._space.from_coordinates(self._space.unflatten(ns, flat), self._frame)
        return point, "point"


def _factors(space: Any) -> tuple[Any, ...]:
    return space.factors if hasattr(space, "factors") else (space,)


def _needed(value: Any, stage: str, what: str) -> Any:
    if value is None:
        raise ValuesError(f"{stage} needs its {what} here: there are no arrays to read it from.\nPass {what}=... .")
    return checked_count(f"the {what} of {stage}", value) if what in ("channels", "width") else value


def filled_in(architecture: Architecture, Ws: Sequence[Any], grid: Sequence[int]) -> tuple[int, list[Any]]:
    """Channels of the input, and the architecture with widths and kernels read from weights.

    Parameters
    ----------
    Ws : arrays (m, J / groups, *kernel) for convolutions, (m, n) for dense stages
    """
    stages, taken, first = [], 0, None
    for spec in architecture:
        if not isinstance(spec, Convolution | Dense):
            stages.append(spec)
            continue
        if taken == len(Ws):
            raise ShapeError(f"the architecture has more stages with weights than the {len(Ws)} weights that came.")
        shape, taken = tuple(getattr(Ws[taken], "shape", ())), taken + 1
        want = len(grid) + 2 if isinstance(spec, Convolution) else 2
        if len(shape) != want:
            form = "(m, channels / groups, *kernel)" if isinstance(spec, Convolution) else "(m, n)"
            raise ShapeError(
                f"the weight of layer {taken}, a {type(spec).__name__}, must have {want} axes: {form}.\n"
                f"  came: shape {shape}"
            )
        if isinstance(spec, Convolution):
            inputs = shape[1] * checked_count("groups", spec.groups)
            stages.append(
                replace(spec, channels=_agreed(spec.channels, shape[0], taken), kernel=_kernel(spec, shape, taken))
            )
        else:
            inputs = shape[1] // math.prod(grid) if first is None else 0
            stages.append(replace(spec, width=_agreed(spec.width, shape[0], taken)))
        first = inputs if first is None else first
    if taken != len(Ws):
        raise ShapeError(f"the architecture has {taken} stages with weights; {len(Ws)} weights came.")
    return first or 0, stages


def _agreed(said: int | None, found: int, layer: int) -> int:
    if said is not None and said != found:
        raise ShapeError(f"layer {layer} is said to have {said} outputs, and its weight has {found}.")
    return found


def _kernel(spec: Convolution, shape: tuple[int, ...], layer: int) -> tuple[int, ...]:
    found = shape[2:]
    if spec.kernel is not None and per_axis(spec.kernel, len(found), "kernel") != found:
        raise ShapeError(f"layer {layer} is said to have kernel {spec.kernel}, and its weight has {found}.")
    return found
