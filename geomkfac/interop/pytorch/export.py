"""From a network to a plain PyTorch module: the same function, with parameters that are coordinates in any frames.

An activation acts coordinate by coordinate in frames of its own alone.  So where a parameterization has other
frames, fixed affine maps without parameters stand around it; where it has the same ones they are left out, and
what remains is the module that one would have written.  Source: LG (3.4), 3.5.2.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from importlib import import_module
from typing import Any, final

import numpy as np

from geomkfac.arrays.array import Array
from geomkfac.errors import KindError, ShapeError, SpaceMismatchError
from geomkfac.interop.pytorch.activations import module_of
from geomkfac.interop.pytorch.imported import Network
from geomkfac.interop.pytorch.support import pytorch, tensor_of
from geomkfac.maps import CoordinatewiseMap, SmoothMap
from geomkfac.maps.activations.polynomials import Identity
from geomkfac.networks.feed_forward import FeedForward
from geomkfac.networks.passes.stages import ActivationStage, AverageStage, ConvolutionStage, DenseStage, MaxStage, Stage
from geomkfac.networks.recurrent import RecurrentNetwork
from geomkfac.spaces import Frame, Parameterization, Point, PowerSpace
from geomkfac.spaces.frames.change import BaseChange
from geomkfac.spaces.frames.frame import between

COPIES = {"reflect": "ReflectionPad", "replicate": "ReplicationPad", "circular": "CircularPad"}


def to_module(network: Network, weights: Point, parameterization: Parameterization) -> Any:
    """A PyTorch module that computes the network's function, with parameters that are coordinates of the weights.

    Inputs and outputs of the module are coordinates too, in the parameterization's frames of `network.inputs` and
    `network.outputs`, laid out as PyTorch does: (N, n), maps (N, channels, *grid), sequences (N, T, n).

    Parameters
    ----------
    network : MLP, ConvolutionalNetwork or RecurrentNetwork, over `floating`
    weights : Point of its weight space, at which the parameters start; copied
    parameterization : the frames of all coordinates

    Returns
    -------
    torch.nn.Module
        Its parameters are, in the order and shapes of ``network.to_arrays(weights, parameterization)``, weight and
        bias of nn.Linear and nn.Conv1d, 2d or 3d layers (and a learned initial state), of the weights' dtype and,
        where they are tensors, device.  Fixed maps and borders are buffers.

    Raises
    ------
    KindError : the network is over an exact kind.
    SpaceMismatchError : an activation is not coordinatewise in any frames; there is no such module.
    ShapeError : maps of more than three axes.
    MissingExtraError : PyTorch is not installed.

    Notes
    -----
    The gradient of a loss of this module has the coordinates of `network.differential` in `parameterization`: so
    an optimizer can be run on it and compared with its run in other frames.  At the kink of ReLU, and where a
    maximum is attained twice, PyTorch takes its own subgradient.

    Source: LG (3.3), (3.4), 3.5.2.
    """
    torch = pytorch("to_module")
    if not isinstance(network, Network):
        raise SpaceMismatchError(
            f"to_module takes an MLP, a ConvolutionalNetwork or a RecurrentNetwork of geomkfac.\n  came: {network!r}"
        )
    if not isinstance(parameterization, Parameterization):
        raise SpaceMismatchError(
            f"the parameters are coordinates in a Parameterization, such as iota.\n  came: {parameterization!r}"
        )
    if network.inputs.kind.is_exact:
        raise KindError(f"PyTorch has floating-point numbers alone, and this network is over {network.inputs.kind!r}.")
    arrays = network.to_arrays(network._own(weights), parameterization)
    maker = _Maker(torch, [(tensor_of(torch, W), tensor_of(torch, b)) for W, b in arrays], parameterization)
    return maker.recurrence(network) if isinstance(network, RecurrentNetwork) else maker.chain(network)


@final
class _Maker:
    """Modules made one after the other.  Moves between frames wait until something must be computed."""

    def __init__(self, torch: Any, pairs: list[tuple[Any, Any]], frames: Parameterization) -> None:
        self._torch, self._pairs, self._frames, self._like = torch, pairs, frames, pairs[0][1]
        self._modules: dict[str, Any] = {}
        self._move: BaseChange | None = None
        self._taken = 0

    # -- networks ----------------------------------------------------------------------------------------
    def chain(self, network: FeedForward) -> Any:
        """nn.Sequential of the stages of a feed-forward network."""
        inputs: Any = network.inputs.base if isinstance(network.inputs, PowerSpace) else network.inputs
        self._grid = network.inputs.grid if isinstance(network.inputs, PowerSpace) else ()
        self._at: Frame = self._frames[inputs]
        for stage in network.stages:
            self._stage(stage)
            self._grid = stage.grid
        self._go(network.outputs, self._frames[network.outputs])
        self._settle("to_outputs")
        return self._torch.nn.Sequential(OrderedDict(self._modules))

    def recurrence(self, network: RecurrentNetwork) -> Any:
        """A `Recurrence` of Linear layers."""
        from geomkfac.interop.pytorch.fixed_layers import InitialState, Recurrence

        rho = network.activation
        states: Any = rho.codomain
        recurrent, driving, reading = (self._linear() for _ in range(3))
        self._at = self._frames[rho.domain]
        self._activation(rho)
        self._go(states, self._frames[states])
        self._settle("from_activation")
        initial = network.initial
        if isinstance(initial, Point):
            start = InitialState(self._tensor(_in_numpy(initial, self._frames[states])), learned=False)
        else:
            start = InitialState(self._pairs[3][1], learned=True)
        activation = self._torch.nn.Sequential(OrderedDict(self._modules))
        return Recurrence(recurrent, driving, reading, activation, start, network.at)

    # -- stages --------------------------------------------------------------------------------------------
    def _stage(self, stage: Stage) -> None:
        if isinstance(stage, ConvolutionStage):
            self._convolution(stage)
        elif isinstance(stage, DenseStage):
            self._dense(stage)
        elif isinstance(stage, ActivationStage):
            self._activation(stage.map)
        elif isinstance(stage, AverageStage):
            self._put("average", self._named("AvgPool")(stage.windows.kernel, stage.windows.stride))
            if stage.collapsed:
                self._put("flatten", self._torch.nn.Flatten())
        elif isinstance(stage, MaxStage):
            self._go(stage.space, stage.frame)
            self._put("max", self._named("MaxPool")(stage.windows.kernel, stage.windows.stride))
        else:
            raise SpaceMismatchError(f"to_module does not know a stage of type {type(stage).__name__}.")

    def _convolution(self, stage: ConvolutionStage) -> None:
        self._go(stage.domain, self._frames[stage.domain])
        padding = self._border(stage)
        W, b = self._pair()
        layer = self._named("Conv")(
            stage.domain.dim, W.shape[0], stage.windows.kernel, stride=stage.windows.stride, padding=padding,
            dilation=stage.windows.dilation, groups=len(stage.maps), device="meta",
        )  # fmt: skip
        self._put("affine", self._filled(layer, W, b))
        self._at = self._frames[stage.space]

    def _border(self, stage: ConvolutionStage) -> Any:
        """What the convolution itself pads; any other border is a module before it."""
        borders, none = stage.borders, (0,) * len(stage.borders.grid)
        if not any(map(any, borders.widths)):
            return none
        if stage.border is None:
            self._put("border", self._named(COPIES[borders.filled])(_flat(borders.widths)))
            return none
        point = _in_numpy(stage.border, self._frames[stage.domain])
        if not point.any() and all(before == after for before, after in borders.widths):
            return tuple(before for before, _ in borders.widths)
        if (point == point[0]).all():
            self._put("border", self._named("ConstantPad")(_flat(borders.widths), float(point[0])))
            return none
        from geomkfac.interop.pytorch.fixed_layers import FixedBorder

        self._put("border", FixedBorder(self._tensor(point), borders.grid, borders.widths))
        return none

    def _dense(self, stage: DenseStage) -> None:
        self._go(stage.domain, self._frames[stage.domain])
        if self._grid:
            self._put("flatten", self._torch.nn.Flatten())
        self._put("affine", self._linear())
        self._at = self._frames[stage.space]

    def _activation(self, rho: SmoothMap) -> None:
        if not isinstance(rho, CoordinatewiseMap):
            raise SpaceMismatchError(
                "a module is made of activations that act coordinate by coordinate in some frames.\n"
                f"  required: CoordinatewiseMap\n  came    : {rho!r}"
            )
        self._go(rho.domain, rho.source)
        if not isinstance(rho.function, Identity):
            self._put("activation", module_of(rho.function))
        self._at = rho.target

    # -- layers ----------------------------------------------------------------------------------------------
    def _pair(self) -> tuple[Any, Any]:
        self._taken += 1
        return self._pairs[self._taken - 1]

    def _linear(self) -> Any:
        W, b = self._pair()
        return self._filled(self._torch.nn.Linear(W.shape[1], W.shape[0], device="meta"), W, b)

    def _filled(self, layer: Any, W: Any, b: Any) -> Any:
        """The layer with these parameters; made on no device, so that no random number is drawn."""
        layer.weight, layer.bias = self._torch.nn.Parameter(W), self._torch.nn.Parameter(b)
        return layer

    def _named(self, name: str) -> Any:
        axes = len(self._grid)
        if axes > 3:
            raise ShapeError(f"PyTorch has layers on maps of up to three axes, and these have {axes}.")
        return getattr(self._torch.nn, f"{name}{axes}d")

    def _put(self, role: str, module: Any) -> None:
        name = self._free(role)
        self._settle(f"to_{name}")
        self._modules[name] = module

    def _free(self, role: str) -> str:
        """A name for one more module of this role: role1, role2, ..."""
        count = 1 + sum(name.rstrip("0123456789") == role for name in self._modules)
        return f"{role}{count}"

    # -- frames ----------------------------------------------------------------------------------------------
    def _go(self, space: Any, frame: Frame) -> None:
        """From the frame that values stand in to another one of the same space."""
        if frame is not self._at:
            change = _flat_change(space, self._at, frame)
            self._move = change if self._move is None else self._move.then(change)
            self._at = frame

    def _settle(self, name: str) -> None:
        """The moves that wait, as one fixed map; none where they are the identity."""
        move, self._move = self._move, None
        if move is None or (move.matrix is None and move.translation is None):
            return
        from geomkfac.interop.pytorch.fixed_layers import FixedAffine

        parts = (None if part is None else self._tensor(part) for part in (move.matrix, move.translation))
        self._modules[name] = FixedAffine(*parts)

    def _tensor(self, array: Any) -> Any:
        """An array of the weights' dtype and device."""
        return self._torch.as_tensor(np.array(array)).to(dtype=self._like.dtype, device=self._like.device)


def _flat(widths: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Widths of a border as PyTorch's padding has them: last axis first."""
    return tuple(width for pair in reversed(widths) for width in pair)


def _in_numpy(point: Point, frame: Frame) -> Any:
    """Coordinates of a point in a frame, flat, as NumPy has them."""
    ns = point.namespace
    return ns.to_numpy(point.space.flatten(ns, point.components_in(frame)))


def _flat_change(space: Any, source: Frame, target: Frame) -> BaseChange:
    """The change between two frames; of a product, block diagonal, with nothing rounded but in the blocks."""
    if not hasattr(space, "factors"):
        return between(source, target)
    changes = [_flat_change(*part) for part in zip(space.factors, source.parts, target.parts, strict=True)]
    matrix: Array = None
    translation: Array = None
    if any(change.matrix is not None for change in changes):
        block_diag = import_module("scipy.linalg").block_diag
        matrix = block_diag(*(np.eye(one.dim) if one.matrix is None else one.matrix for one in changes))
    if any(change.translation is not None for change in changes):
        parts = [np.zeros(change.dim) if change.translation is None else change.translation for change in changes]
        translation = np.concatenate(parts)
    return BaseChange(space.kind, space.dim, matrix, None, translation)
