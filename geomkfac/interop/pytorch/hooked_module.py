"""Layers of a PyTorch module, seen through hooks, as a function of data that sums run over.

Hooks see what each Linear and ConvNd layer takes and gives; autograd pulls covectors on the outputs back to what it
gave.  That is a pass as any network's (`Pass`), so that everything above it, sums, moments and metrics, is the same
code.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from threading import RLock
from typing import Any, final

from geomkfac.arrays import floating
from geomkfac.arrays.borders import padding_of
from geomkfac.errors import ShapeError, ValuesError
from geomkfac.interop.pytorch.module_metric import LayerPart
from geomkfac.interop.pytorch.module_pass import ModulePass, use_of
from geomkfac.interop.pytorch.selection import parts_of
from geomkfac.interop.pytorch.support import first_line, pytorch, refusal
from geomkfac.maps.affine import AffineMaps
from geomkfac.networks.feed_forward import WINDOWS_AT_ONCE
from geomkfac.networks.passes.layers import Layer
from geomkfac.networks.running.layered_function import LayeredFunction
from geomkfac.networks.running.memory_limit import Demand
from geomkfac.spaces import AffineSpace, BaseFrame, Chunk, Parameterization, Point, PowerSpace

_FORWARD = RLock()
"""Held in a forward pass: its hooks stand on the module, which threads share.  They take turns in it; the way back, and
all sums, run side by side."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class ModuleInputs:
    """Data as a module takes them, in the place of points: a tensor of any dtype, with the data on the first axis."""

    tensor: Any

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """(N,)."""
        return (len(self.tensor),)

    def __getitem__(self, rows: slice) -> ModuleInputs:
        return ModuleInputs(self.tensor[rows])

    def __reduce__(self) -> tuple[Any, ...]:
        # A part of a tensor would be sent with the whole.
        return ModuleInputs, (self.tensor.clone(),)

    def coordinates(self, parameterization: Parameterization) -> Any:
        """The tensor itself: the coordinates that the module reads."""
        return self.tensor


@final
@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One forward pass: outputs, and of every layer what it took and gave, by name."""

    outputs: Any
    taken: dict[str, Any]
    given: dict[str, Any]
    last: str | None


@final
class HookedModule(LayeredFunction):
    """Layers of a module, with spaces, frames and weights as those of a network.

    It can be sent to another process where pickle can send the module.

    Parameters
    ----------
    module : torch.nn.Module
    chosen : its layers by name
    class_axis : the axis of the outputs along which the coordinates of one output run
    X : some of the first data

    Attributes
    ----------
    parts : LayerPart, a layer or a group of one
    weights : Layer, one for every part
    frames : of the spaces of the layers, in which the module's parameters are coordinates
    output_frame : of a single output
    probe : outputs for these data alone
    """

    def __init__(self, module: Any, chosen: dict[str, Any], class_axis: int, X: Any) -> None:
        self._module, self._chosen, self._class_axis = module, chosen, class_axis
        self.parts = tuple(part for name, layer in chosen.items() for part in parts_of(name, layer))
        self.frames: list[BaseFrame] = []
        self.weights = tuple(self._layer(part, chosen[part.layer]) for part in self.parts)
        self.layers = tuple(layer.space for layer in self.weights)
        try:
            seen = self._forward(X)
        except RuntimeError as error:  # what PyTorch raises on another shape, dtype or device
            raise refusal(
                "", module, f"it does not take the data, of shape {tuple(X.shape)}, {X.dtype} on {X.device}: "
                f"{first_line(error)}", "Pass data as the module takes them.",
            ) from error  # fmt: skip
        self.probe, self._one = seen.outputs.detach(), X[:1].clone()
        tensors = (*seen.given.values(), *seen.taken.values())
        self._largest: int = max(-(-tensor.numel() // len(X)) for tensor in tensors)
        self._output_layer: int | None = None
        for index, part in enumerate(self.parts):
            if part.layer == seen.last and part.groups == 1 and self.probe.ndim == 2:
                self._output_layer = index
        if self._output_layer is None:
            self.output_frame = AffineSpace("outputs", self.probe.shape[class_axis]).frame("iota")
        else:
            space = self.layers[self._output_layer].codomain
            self.output_frame = next(frame for frame in self.frames if frame.space is space)
        self.outputs: AffineSpace = self.output_frame.space  # type: ignore[assignment]

    def _layer(self, part: LayerPart, module: Any) -> Layer:
        torch, J, kernel = pytorch("a layer of a module"), part.shape[1], part.shape[2:]
        A, Z = AffineSpace(f"A({part.name})", J), AffineSpace(f"Z({part.name})", part.shape[0])
        frames = [A.frame("iota"), Z.frame("iota")]
        self.frames += frames
        domain: Any = PowerSpace(A, kernel) if kernel else A
        frame: Any = domain.frame(frames[0]) if kernel else frames[0]
        maps = AffineMaps(domain, Z)
        rows = part.rows(torch, dict(zip(part.entries, (module.weight, module.bias), strict=False)))
        if not part.biased:
            rows = torch.cat([rows, rows.new_zeros((len(rows), 1))], dim=1)
        # Named, and whatever frame the weights are stored in: what autograd gives are coordinates in this one.
        named = maps.frame(frame, frames[1])
        return Layer(maps, maps.from_coordinates(rows, named), named)

    @property
    def iota(self) -> Parameterization:
        """The frames of the layers and of the outputs."""
        own = [] if self.output_frame in self.frames else [self.output_frame]
        return Parameterization([*self.frames, *own], name="iota")

    @property
    def output_layer(self) -> int | None:
        return self._output_layer

    # -- a forward pass ----------------------------------------------------------------------------------
    def _forward(self, X: Any) -> Seen:
        """A forward pass with hooks."""
        torch = pytorch("a pass of a module")
        taken: dict[str, Any] = {}
        given: dict[str, Any] = {}
        handed: dict[str, Any] = {}

        def hook_of(name: str) -> Any:
            def hook(layer: Any, arguments: Any, output: Any) -> Any:
                if name in given:
                    raise refusal(
                        name, layer, "it is applied twice in one pass; its inputs would be those of both",
                        f"Leave it out: layers=[...] without {name!r}.",
                    )  # fmt: skip
                taken[name] = (arguments[0].detach(), arguments[0]._version)
                given[name] = output if output.requires_grad else output.detach().requires_grad_()
                # A copy goes on: what works in place must not change what the layer gave.
                handed[name] = given[name].clone()
                return handed[name]

            return hook

        with _FORWARD, torch.enable_grad():
            # First of all hooks: others may change what the layer gives, and it gave this.
            handles = [layer.register_forward_hook(hook_of(name), prepend=True) for name, layer in self._chosen.items()]
            try:
                outputs = self._module(X)
            finally:
                for handle in handles:
                    handle.remove()
        self._check(torch, X, outputs, taken, given)
        # Changed in place, by a ReLU for example, it is the outputs, but not what the layer gave.
        last = next((name for name, tensor in handed.items() if tensor is outputs and not tensor._version), None)
        return Seen(outputs, {name: tensor for name, (tensor, _) in taken.items()}, given, last)

    def _check(self, torch: Any, X: Any, outputs: Any, taken: dict[str, Any], given: dict[str, Any]) -> None:
        if not isinstance(outputs, torch.Tensor) or outputs.ndim < 2 or outputs.shape[0] != X.shape[0]:
            came = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
            raise refusal(
                "", self._module, f"its outputs must be one tensor with the data on the first axis; came: {came}",
                "Wrap it in a module that returns the logits, (N, m).",
            )  # fmt: skip
        if not 1 <= self._class_axis < outputs.ndim:
            raise ShapeError(
                f"class_axis must be one of the axes 1, ..., {outputs.ndim - 1}, not {self._class_axis!r}."
            )
        for name, layer in self._chosen.items():
            if name not in given:
                raise refusal(name, layer, "the forward pass does not call it", "Leave it out, with layers=[...].")
            tensor, version = taken[name]
            if tensor._version != version:
                raise refusal(name, layer, "what it took is changed in place afterwards", "Set inplace=False after it.")

    def _pass_of(self, layers: tuple[Layer, ...], chunk: Chunk) -> ModulePass:
        inputs: Any = chunk.points
        seen = self._forward(inputs.tensor)
        if chunk.first == 0:
            self._check_alone(seen.outputs.detach())
        return self._as_pass(seen)

    def _as_pass(self, seen: Seen) -> ModulePass:
        with pytorch("a pass of a module").enable_grad():
            z = seen.outputs.movedim(self._class_axis, -1)
        ns = floating.namespace_of(z.detach())
        outputs: Point = self.outputs.from_coordinates(z.detach().contiguous(), self.output_frame)
        uses = tuple(use_of(ns, part, self._chosen[part.layer], seen.taken[part.layer], len(z)) for part in self.parts)
        return ModulePass(self.parts, self._chosen, self.output_frame, seen.given, z, uses, outputs)

    def _check_alone(self, together: Any) -> None:
        """Whether the first outputs are what they are among fewer data."""
        torch, count = pytorch("a pass of a module"), min(len(together), len(self.probe))
        together, alone = together[:count], self.probe[:count]
        if not bool(torch.isfinite(together).all()):
            raise ValuesError("the module's outputs are not finite; a metric of them has no numbers.")
        # Gross differences alone: rounding has its own laws, through layers of any condition.
        few = float(torch.finfo(alone.dtype).eps) ** 0.25
        if together.shape != alone.shape or not float((together - alone).abs().max()) <= few * float(alone.abs().max()):
            raise refusal(
                "", self._module, "the output for a datum is another one among others than among few: data see each "
                "other, or numbers are drawn at random", "Call module.eval(), or take statistics per datum.",
            )  # fmt: skip

    # -- memory ------------------------------------------------------------------------------------------
    @property
    def _widest(self) -> int:
        return self._largest

    def _chunk_size(self, covectors: int) -> int:
        # Of one datum alone nobody knows whether others change it.
        return max(2, super()._chunk_size(covectors))

    def _demand(self, covectors: int, lifted: bool, itemsize: int) -> Demand:
        seen, kept = self._measured()
        maps, unfolded = 0, 0
        for name, layer in self._chosen.items():
            J, *grid = seen.taken[name].shape[1:]
            kernel = tuple(layer.weight.shape[2:])
            if kernel:
                borders = padding_of(layer.padding, kernel, layer.dilation)
                maps += J * math.prod(n + before + after for n, (before, after) in zip(grid, borders, strict=True))
                unfolded = max(unfolded, math.prod(seen.given[name].shape[2:]) * J * math.prod(kernel))
        given = sum(tensor.numel() for tensor in seen.given.values())
        # The weights as coordinates; and what stands aside while windows are multiplied.
        aside = sum(layer.dim for layer in self.layers) + (WINDOWS_AT_ONCE if maps else 0)
        # What is kept, and on the way back at most as many gradients; maps as they are taken and with borders; one of
        # them unfolded, as PyTorch may do it; and covectors on the outputs.
        datum = 2 * -(-kept // itemsize) + 2 * (maps + unfolded + self._widest) + 4 * covectors * seen.outputs.numel()
        # Gradients at all layers; and those of one of them stacked, as rows, and in their product.
        return Demand(self._entries_of_sums(itemsize), aside, datum, given + 4 * self._widest, itemsize)

    def _measured(self) -> tuple[Seen, int]:
        """A forward pass of one datum, and how many bytes it keeps for the way back.

        What hooks on layers do not see is seen here: all tensors that autograd saves, but for parameters.
        """
        torch = pytorch("a limit on memory")
        kept = {}

        def take(tensor: Any) -> Any:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(take, lambda tensor: tensor):
            seen = self._forward(self._one)
        for tensor in (seen.outputs, *seen.taken.values(), *seen.given.values()):
            take(tensor)
        for tensor in (self._one, *self._module.parameters(), *self._module.buffers()):
            kept.pop(tensor.untyped_storage().data_ptr(), None)
        return seen, sum(kept.values())

    @property
    def _facts(self) -> dict[str, str]:
        state = hashlib.sha256()
        for name, tensor in self._module.state_dict().items():
            content = tensor.detach().cpu().contiguous().reshape(-1).view(pytorch("a module").uint8)
            state.update(name.encode() + content.numpy().tobytes())
        return {
            "module": repr(self._module),
            "layers": ", ".join(self._chosen),
            "class axis": str(self._class_axis),
            "parameters and buffers": state.hexdigest()[:16],
        }
