"""Stages of a feed-forward network on maps: what happens to a point at every place of a grid.

The value that goes from stage to stage is a batch (N, *grid) of points of one affine space: the local
activations alpha^(t) or pre-activations zeta^(t) of LG 4.1.2.  Covectors come back as batches
(K, N, *grid).  Affine stages work in the frames in which their weights are stored; pooling by means is
an affine combination, the same in every frame; activations and maxima go through frames of their own.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.borders import Borders
from geomkfac.arrays.namespace import Namespace
from geomkfac.arrays.windows import Windows
from geomkfac.maps import AffineMaps, SmoothMap
from geomkfac.networks.passes.layer_inputs import PatchUse, PointUse, Use
from geomkfac.networks.passes.layers import Layer
from geomkfac.spaces import AffineSpace, Point, PowerSpace, ProductSpace, Vector
from geomkfac.spaces.frames.change import map_components
from geomkfac.spaces.frames.frame import Frame, derived_frame

Rows: TypeAlias = list[tuple[int, Array]]
"""(index of the layer, covectors on its pre-activations (K, N, *places, m) in the frame of its weights)."""


class Stage(ABC):
    """One stage.

    Attributes
    ----------
    space : affine space of the values that it gives
    grid : the grid on which it gives them
    """

    __slots__ = ()

    space: Any
    grid: tuple[int, ...]

    @abstractmethod
    def run(self, layers: Sequence[Layer], value: Point) -> tuple[Point, Any]:
        """The values after this stage, (N, *grid), and what `pull` needs to know."""

    @abstractmethod
    def pull(self, layers: Sequence[Layer], kept: Any, covectors: Vector, *, given: bool) -> Vector:
        """Covectors (K, N, *grid) after this stage as covectors before it; `given`: nobody else holds them."""


class AffineStage(Stage):
    """A stage with weights: one affine map, or one for each group of channels.

    Attributes
    ----------
    maps : AffineMaps, one for each group
    first : index of the first of them among the network's layers
    """

    __slots__ = ()

    maps: tuple[AffineMaps, ...]
    first: int

    @abstractmethod
    def uses(self, layers: Sequence[Layer], kept: Any) -> list[Use]:
        """What each of the maps saw."""

    def rows(self, layers: Sequence[Layer], covectors: Vector) -> Rows:
        """Covectors after this stage as arrays, map by map."""
        parts = _parts(self.space.direction.dual, covectors)
        return [
            (self.first + index, part.components_in(layer.frame.parts[1].linear.dual))
            for index, (layer, part) in enumerate(zip(self._own(layers), parts, strict=True))
        ]

    def _own(self, layers: Sequence[Layer]) -> Sequence[Layer]:
        return layers[self.first : self.first + len(self.maps)]


def _parts(space: Any, element: Any) -> tuple[Any, ...]:
    """An element of a product as its components; of any other space as the only one."""
    return space.split(element) if hasattr(space, "factors") else (element,)


def _joined(space: Any, parts: Sequence[Any]) -> Any:
    return space.join(*parts) if hasattr(space, "factors") else parts[0]


@final
@dataclass(frozen=True, slots=True, eq=False)
class ConvolutionStage(AffineStage):
    """``zeta^(t) = omega(alpha^(:, t))``: one affine map of every expanded patch.  Source: LG 4.1.2.

    Attributes
    ----------
    domain : affine space A of local activations; a product for several groups
    borders : the border of the map
    border : Point of `domain`, what stands at its places; None where it is made of copies
    windows : the windows on the padded map
    """

    domain: Any
    space: Any
    maps: tuple[AffineMaps, ...]
    first: int
    borders: Borders
    border: Point | None
    windows: Windows

    @property
    def grid(self) -> tuple[int, ...]:  # type: ignore[override]
        return self.windows.out

    def run(self, layers: Sequence[Layer], value: Point) -> tuple[Point, list[Array]]:
        ns = value.namespace
        padded, results = [], []
        borders = (None,) * len(self.maps) if self.border is None else _parts(self.domain, self.border)
        for layer, part, border in zip(self._own(layers), _parts(self.domain, value), borders, strict=True):
            frame = _local(layer)
            point = None if border is None else ns.cast(border.components_in(frame))
            x = self.borders.pad(ns, part.components_in(frame), point)
            W, b = _split(layer)
            z = self.windows.correlate(ns, x, W)
            z += b
            padded.append(x)
            results.append(layer.space.codomain.from_components(layer.frame.parts[1], z, ns))
        return _joined(self.space, results), padded

    def uses(self, layers: Sequence[Layer], kept: list[Array]) -> list[Use]:
        return [PatchUse(padded, self.windows) for padded in kept]

    def pull(self, layers: Sequence[Layer], kept: Any, covectors: Vector, *, given: bool) -> Vector:
        ns, results = covectors.namespace, []
        lead = len(covectors.batch_shape) - len(self.grid)
        for layer, part in zip(self._own(layers), _parts(self.space.direction.dual, covectors), strict=True):
            frame = _local(layer)
            u = part.components_in(layer.frame.parts[1].linear.dual)
            batch = tuple(u.shape)[:lead]
            flat = ns.reshape(u, (-1, *tuple(u.shape)[lead:]))
            crop = self.borders.widths if self.borders.is_constant else None
            x = self.windows.transpose(ns, flat, _split(layer)[0], crop)
            if not self.borders.is_constant:
                x = self.borders.transpose(ns, x)
            space = frame.space.direction.dual
            results.append(space.from_components(frame.linear.dual, ns.reshape(x, (*batch, *tuple(x.shape)[1:])), ns))
        joined: Vector = _joined(self.domain.direction.dual, results)
        return joined


@final
@dataclass(frozen=True, slots=True, eq=False)
class DenseStage(AffineStage):
    """One affine map of the whole map: a convolution whose kernel is the map, at one place."""

    domain: Any
    space: Any
    maps: tuple[AffineMaps, ...]
    first: int
    grid: tuple[int, ...] = ()

    def _whole(self, value: Point) -> Point:
        domain = self.maps[0].domain
        whole: Point = domain.gather(value) if isinstance(domain, PowerSpace) else value
        return whole

    def run(self, layers: Sequence[Layer], value: Point) -> tuple[Point, Array]:
        (layer,) = self._own(layers)
        whole = self._whole(value)
        zeta: Point = layer.omega(whole)
        return zeta, layer.inputs(value.namespace, whole, layer.frame)

    def uses(self, layers: Sequence[Layer], kept: Array) -> list[Use]:
        return [PointUse(kept)]

    def pull(self, layers: Sequence[Layer], kept: Any, covectors: Vector, *, given: bool) -> Vector:
        (layer,) = self._own(layers)
        pulled = layer.derivative.pullback(covectors)
        spread: Vector = pulled.space.spread(pulled) if isinstance(self.maps[0].domain, PowerSpace) else pulled  # type: ignore[attr-defined]
        return spread


@final
@dataclass(frozen=True, slots=True, eq=False)
class ActivationStage(Stage):
    """A smooth map at every place."""

    map: SmoothMap
    grid: tuple[int, ...]

    @property
    def space(self) -> Any:
        return self.map.codomain

    def run(self, layers: Sequence[Layer], value: Point) -> tuple[Point, Any]:
        return self.map.linearize(value)  # type: ignore[return-value]

    def pull(self, layers: Sequence[Layer], kept: Any, covectors: Vector, *, given: bool) -> Vector:
        pulled: Vector = kept._pull_given(covectors) if given else kept._pull(covectors)
        return pulled


@final
@dataclass(frozen=True, slots=True, eq=False)
class AverageStage(Stage):
    """Means over windows.  Barycentres are affine, so no frame is named and none is felt.

    Attributes
    ----------
    windows : undilated, without borders
    collapsed : whether the one window is the whole map, and no grid is left
    """

    space: Any
    windows: Windows
    collapsed: bool = False

    @property
    def grid(self) -> tuple[int, ...]:  # type: ignore[override]
        return () if self.collapsed else self.windows.out

    def _matrices(self, ns: Namespace) -> list[Array]:
        """For every axis the matrix (out, length) of the means."""
        matrices = []
        for axis, (length, k) in enumerate(zip(self.windows.grid, self.windows.kernel, strict=True)):
            eye = ns.eye(length)
            rows = [
                ns.sum(eye[start : start + k, :], axis=0)
                for start in range(0, length - k + 1, self.windows.stride[axis])
            ]
            matrices.append(ns.stack(rows[: self.windows.out[axis]], axis=0) / ns.scalar(k))
        return matrices

    def run(self, layers: Sequence[Layer], value: Point) -> tuple[Point, None]:
        ns, axes = value.namespace, len(self.windows.grid)

        def mean(leaf: Array) -> Array:
            for axis, matrix in enumerate(self._matrices(ns)):
                leaf = ns.apply(matrix, leaf, axis - axes - 1)
            return leaf if self.grid else ns.reshape(leaf, (leaf.shape[0], leaf.shape[-1]))

        return value.with_components(map_components(mean, value._components)), None

    def pull(self, layers: Sequence[Layer], kept: Any, covectors: Vector, *, given: bool) -> Vector:
        ns, axes = covectors.namespace, len(self.windows.grid)

        def back(leaf: Array) -> Array:
            if not self.grid:
                leaf = ns.reshape(leaf, (*tuple(leaf.shape)[:-1], *(1,) * axes, leaf.shape[-1]))
            for axis, matrix in enumerate(self._matrices(ns)):
                leaf = ns.apply(matrix.mT, leaf, axis - axes - 1)
            return leaf

        return covectors.with_components(map_components(back, covectors._components))


@final
@dataclass(frozen=True, slots=True, eq=False)
class MaxStage(Stage):
    """Maxima over windows, in one frame; where one is attained twice, the first place is taken."""

    space: Any
    frame: Frame
    windows: Windows

    @property
    def grid(self) -> tuple[int, ...]:  # type: ignore[override]
        return self.windows.out

    def run(self, layers: Sequence[Layer], value: Point) -> tuple[Point, list[Array]]:
        ns = value.namespace.ordered("max pooling")
        flat = self.space.flatten(ns, value.components_in(self.frame))
        slices = self.windows.slices(flat)
        largest = slices[0]
        for part in slices[1:]:
            largest = ns.maximum(largest, part)
        ones, zeros = ns.ones(largest.shape), ns.zeros(largest.shape)
        free, chosen = ones, []
        for part in slices:
            mask = ns.where(part >= largest, free, zeros)
            free = free - mask
            chosen.append(mask)
        made: Point = self.space.from_components(self.frame, self.space.unflatten(ns, largest), ns)
        return made, chosen

    def pull(self, layers: Sequence[Layer], kept: list[Array], covectors: Vector, *, given: bool) -> Vector:
        ns, dual = covectors.namespace, self.space.direction.dual
        u = dual.flatten(ns, covectors.components_in(self.frame.linear.dual))
        grid, total = self.windows.grid, None
        for delta, mask in zip(itertools.product(*map(range, self.windows.kernel)), kept, strict=True):
            part = u * mask
            for axis, offset in enumerate(delta):
                places = range(
                    offset, offset + self.windows.stride[axis] * self.windows.out[axis], self.windows.stride[axis]
                )
                chosen = ns.take(ns.eye(grid[axis]), list(places), 0)
                part = ns.apply(chosen.mT, part, axis - len(grid) - 1)
            total = part if total is None else total + part
        made: Vector = dual.from_components(self.frame.linear.dual, dual.unflatten(ns, total), ns)
        return made


def _local(layer: Layer) -> Frame:
    """The frame of local activations in which a layer on patches stores its weights."""
    domain: Frame = layer.frame.parts[0]
    return domain.parts[0] if isinstance(domain.space, PowerSpace) else domain


def _split(layer: Layer) -> tuple[Array, Array]:
    """W (m, K J) and b (m,)."""
    matrix = layer.omega.components_in(layer.frame)
    return matrix[:, :-1], matrix[:, -1]


def product_or_only(spaces: Sequence[AffineSpace]) -> Any:
    """The product of several spaces; of one, itself."""
    return spaces[0] if len(spaces) == 1 else ProductSpace(*spaces)


def product_frame(space: Any, frames: Sequence[Frame]) -> Frame:
    """The frame of `product_or_only` that frames of its parts determine."""
    return frames[0] if len(frames) == 1 else derived_frame(space, tuple(frames))
