"""The K-FAC metric of layers of a PyTorch module whose other parts no network here has.

Hooks see what each Linear and ConvNd layer takes and gives; autograd pulls covectors on the outputs back to what it
gave.  That is a pass as any network's (`Pass`), so that everything above it, moments and metrics, is the same code.
Source: LG D3.9, D4.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final, get_args

from geomkfac.arrays import floating
from geomkfac.arrays.borders import Borders, padding_of
from geomkfac.arrays.floats.memory import in_hand
from geomkfac.arrays.namespace import Array, Namespace
from geomkfac.arrays.windows import Windows
from geomkfac.errors import KindError, ShapeError, UnknownNameError, ValuesError
from geomkfac.interop.pytorch import selection as torch_selection
from geomkfac.interop.pytorch.module_metric import LayerPart, ModuleMetric
from geomkfac.interop.pytorch.support import first_line, pytorch, refusal
from geomkfac.maps.affine import AffineMaps
from geomkfac.metrics.families.output_family import Fisher, OutputFamily
from geomkfac.metrics.tensors.dense import DenseTensor
from geomkfac.metrics.tensors.direct_sum import DirectSumTensor
from geomkfac.metrics.tensors.kronecker import KroneckerTensor
from geomkfac.networks.moments import statistics
from geomkfac.networks.moments.kfac_moments import Sharing
from geomkfac.networks.network import ENTRIES_PER_CHUNK
from geomkfac.networks.passes import at_places as at_outputs
from geomkfac.networks.passes.chain_pass import Pass
from geomkfac.networks.passes.uses import PatchUse, PointUse, Use
from geomkfac.spaces import (
    AffineSpace,
    BaseFrame,
    Chunk,
    Frame,
    Parameterization,
    Point,
    PowerSpace,
    Vector,
    VectorSpace,
)
from geomkfac.spaces.power import PowerVectorSpace
from geomkfac.spaces.samples.targets import map_targets, slice_targets


def kfac_of_module(
    module: Any,
    X: Any,
    y: Any,
    loss: OutputFamily,
    *,
    layers: Sequence[str] | None = None,
    fisher: Fisher = "exact",
    samples: int = 1,
    seed: int = 0,
    sharing: Sharing = "expand",
    class_axis: int = 1,
    chunk_size: int | None = None,
) -> ModuleMetric:
    """The K-FAC metric of the Linear and Conv1d, 2d, 3d layers of any module, through hooks and autograd.

    Scaled as `Network.kfac_metric`: A is a mean over the data, and over the places at which a layer is applied; G a
    mean over the data of sums over places.  The two are equal where both can be had.  The module is left as it was:
    no hook stays, and no ``.grad`` is touched.

    Parameters
    ----------
    module : torch.nn.Module of one input tensor and one output tensor, in which no datum sees another
    X : tensor, data on the first axis
    y : targets, for fisher='empirical'; else they may be None
    loss : a family such as Categorical() or Gaussian(...), read in the coordinates of the module's outputs
    layers : names of layers; None for all nn.Linear and nn.ConvNd
    fisher, samples, seed, sharing : as for `Network.kfac_metric`
    class_axis : the axis of the outputs along which the family's coordinates run; axes after the first other
        than this one are places, each with a loss of its own, and the loss of a datum is their sum
    chunk_size : data per pass; None bounds memory by what the layers take and give.  In the sampled Fisher a datum's
        draws do not depend on it

    Raises
    ------
    UnplaceableModuleError : a layer is applied twice, or not at all, or shares its parameters; a normalisation mixes
        the data of a batch, or dropout is at work; with the name of the part and what to do.
    UnknownNameError : a name in `layers` is none of the module's.
    MissingExtraError : PyTorch is not installed.

    Source: LG D3.9, D4.3.
    """
    torch = pytorch("kfac_of_module")
    _check_words(fisher, sharing)
    if not isinstance(loss, OutputFamily):
        raise KindError(
            "the loss is a family without a frame, such as Categorical(): the outputs' coordinates are the module's.\n"
            f"  came: {loss!r}"
        )
    if not isinstance(module, torch.nn.Module) or not isinstance(X, torch.Tensor) or X.ndim < 1 or not len(X):
        raise KindError(
            f"required: a torch.nn.Module and a tensor of data.\n  came    : {type(module).__name__} and "
            f"{tuple(X.shape) if isinstance(X, torch.Tensor) else type(X).__name__}"
        )
    if chunk_size is not None and (isinstance(chunk_size, bool) or not isinstance(chunk_size, int) or chunk_size < 1):
        raise ShapeError(f"chunk_size must be a positive int or None, not {chunk_size!r}.")
    chosen = torch_selection.selected(torch, module, layers)
    torch_selection.check_mode(torch, module)
    hooked = _Hooked(torch, module, chosen, class_axis)
    # Fewer data than the first chunk has, so that data that see each other show.
    probe = hooked.first(X[: max(1, min(8, len(X) // 2, (chunk_size or len(X)) // 2))])
    bound = _Bound(torch, chosen, probe, class_axis)
    size = chunk_size or bound.chunk_size
    tensor_of = at_outputs.model_of(loss.on(bound.output_frame), fisher, samples, seed)

    running = statistics.running_moments(bound.layers, sharing, bound.output_layer)
    for first in range(0, len(X), size):
        count = min(size, len(X) - first)
        with in_hand(count, bound.layers[0].omega.namespace):
            seen = hooked.run(X[first : first + count])
            if first == 0:
                _check_alone(torch, module, seen.outputs.detach(), probe.outputs.detach())
            own = bound.pass_of(seen)
            targets = _targets(slice_targets(y, first, first + count), own.outputs, class_axis)
            chunk = Chunk(first, own.outputs, targets, None)
            statistics.add_chunk(running, chunk, own, tensor_of(own, chunk), bound.at_once(count))
            # Else they would still stand in memory beside the next ones.
            del seen, own, chunk
    metric, iota = bound.without_origins(running.moments().metric())
    covered = {name for part in bound.parts for name in part.entries}
    left_out = tuple(name for name, _ in module.named_parameters() if name not in covered)
    return ModuleMetric(metric, iota, bound.parts, left_out)


def _check_words(fisher: str, sharing: str) -> None:
    for name, value, known in (("fisher", fisher, get_args(Fisher)), ("sharing", sharing, get_args(Sharing))):
        if value not in known:
            raise UnknownNameError(f"{name} must be one of {', '.join(map(repr, known))}, not {value!r}.")


def _check_alone(torch: Any, module: Any, together: Any, alone: Any) -> None:
    count = min(len(together), len(alone))
    together, alone = together[:count], alone[:count]
    if not bool(torch.isfinite(together).all()):
        raise ValuesError("the module's outputs are not finite; a metric of them has no numbers.")
    # Gross differences alone: rounding has its own laws, through layers of any condition.
    few = float(torch.finfo(alone.dtype).eps) ** 0.25
    if together.shape != alone.shape or not float((together - alone).abs().max()) <= few * float(alone.abs().max()):
        raise refusal(
            "", module, "the output for a datum is another one among others than among few: data see each other, or "
            "numbers are drawn at random", "Call module.eval(), or take statistics per datum.",
        )  # fmt: skip


def _targets(targets: Any, outputs: Point, class_axis: int) -> Any:
    """Targets with values, laid out as the outputs, with these on the last axis."""
    places = len(outputs.batch_shape) - 1

    def moved(part: Any) -> Any:
        return part.movedim(class_axis, -1).contiguous() if places and part.ndim == places + 2 else part

    return map_targets(moved, targets)


# -- seeing ----------------------------------------------------------------------------------------------------
@final
@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """One forward pass: outputs, and of every layer what it took and gave, by name."""

    outputs: Any
    taken: dict[str, Any]
    given: dict[str, Any]
    last: str | None


@final
class _Hooked:
    """A module run with hooks on the chosen layers."""

    def __init__(self, torch: Any, module: Any, chosen: dict[str, Any], class_axis: int) -> None:
        self._torch, self._module, self._chosen, self._class_axis = torch, module, chosen, class_axis

    def first(self, X: Any) -> _Seen:
        """The pass of the first data, which are perhaps none of the module's."""
        try:
            return self.run(X)
        except RuntimeError as error:  # what PyTorch raises on another shape, dtype or device
            raise refusal(
                "", self._module, f"it does not take the data, of shape {tuple(X.shape)}, {X.dtype} on {X.device}: "
                f"{first_line(error)}", "Pass data as the module takes them.",
            ) from error  # fmt: skip

    def run(self, X: Any) -> _Seen:
        """The pass of a batch."""
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

        # First of all hooks: others may change what the layer gives, and it gave this.
        handles = [layer.register_forward_hook(hook_of(name), prepend=True) for name, layer in self._chosen.items()]
        try:
            with self._torch.enable_grad():
                outputs = self._module(X)
        finally:
            for handle in handles:
                handle.remove()
        self._check(X, outputs, taken, given)
        # Changed in place, by a ReLU for example, it is the outputs, but not what the layer gave.
        last = next((name for name, tensor in handed.items() if tensor is outputs and not tensor._version), None)
        return _Seen(outputs, {name: tensor for name, (tensor, _) in taken.items()}, given, last)

    def _check(self, X: Any, outputs: Any, taken: dict[str, Any], given: dict[str, Any]) -> None:
        if not isinstance(outputs, self._torch.Tensor) or outputs.ndim < 2 or outputs.shape[0] != X.shape[0]:
            came = tuple(outputs.shape) if isinstance(outputs, self._torch.Tensor) else type(outputs).__name__
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


# -- as networks have it ----------------------------------------------------------------------------------------
@final
@dataclass(frozen=True, slots=True, eq=False)
class _NamedLayer:
    """A layer, as a `Layer`, with a frame that is named, and not the one that its weights are stored in."""

    space: AffineMaps
    omega: Point
    frame: Frame


@final
class _Bound:
    """Spaces, frames and weights for the chosen layers, as those of a network."""

    def __init__(self, torch: Any, chosen: dict[str, Any], probe: _Seen, class_axis: int) -> None:
        self._torch, self._chosen, self._class_axis = torch, chosen, class_axis
        self.parts = tuple(part for name, layer in chosen.items() for part in torch_selection.parts_of(name, layer))
        self.frames: list[BaseFrame] = []
        # With all that statistics ask of a Layer.
        self.layers: Any = tuple(self._layer(part, chosen[part.layer]) for part in self.parts)
        self.output_layer: int | None = None
        space, ends = None, probe.last
        for index, part in enumerate(self.parts):
            if part.layer == ends and part.groups == 1 and probe.outputs.ndim == 2:
                self.output_layer, space = index, self.layers[index].space.codomain
        if space is None:
            self.output_frame: BaseFrame = AffineSpace("outputs", probe.outputs.shape[class_axis]).frame("iota")
        else:
            self.output_frame = next(frame for frame in self.frames if frame.space is space)
        self._widest: int = max(tensor[0].numel() for tensor in (*probe.given.values(), *probe.taken.values()))

    def _layer(self, part: LayerPart, module: Any) -> _NamedLayer:
        J, kernel = part.shape[1], part.shape[2:]
        A, Z = AffineSpace(f"A({part.name})", J), AffineSpace(f"Z({part.name})", part.shape[0])
        frames = [A.frame("iota"), Z.frame("iota")]
        self.frames += frames
        domain: Any = PowerSpace(A, kernel) if kernel else A
        frame: Any = domain.frame(frames[0]) if kernel else frames[0]
        maps = AffineMaps(domain, Z)
        rows = part.rows(self._torch, dict(zip(part.entries, (module.weight, module.bias), strict=False)))
        if not part.biased:
            rows = self._torch.cat([rows, rows.new_zeros((len(rows), 1))], dim=1)
        named = maps.frame(frame, frames[1])
        return _NamedLayer(maps, maps.from_coordinates(rows, named), named)

    @property
    def chunk_size(self) -> int:
        """How many data make up a pass."""
        return max(2, ENTRIES_PER_CHUNK // (2 * self._widest))

    def at_once(self, count: int) -> int:
        """How many covectors are pulled back together."""
        return max(1, ENTRIES_PER_CHUNK // max(1, count * self._widest))

    def pass_of(self, seen: _Seen) -> ModulePass:
        """A forward pass as one of a network."""
        z = seen.outputs.movedim(self._class_axis, -1)
        ns = floating.namespace_of(z.detach())
        outputs: Point = self.output_frame.space.from_coordinates(z.detach().contiguous(), self.output_frame)
        uses = tuple(_use(ns, part, self._chosen[part.layer], seen.taken[part.layer], len(z)) for part in self.parts)
        return ModulePass(self._torch, self.parts, self._chosen, self.output_frame, seen.given, z, uses, outputs)

    def without_origins(self, metric: DirectSumTensor) -> tuple[DirectSumTensor, Parameterization]:
        """The metric, with layers without a bias as linear maps of vectors, and its frames."""
        frames, pieces = list(self.frames), []
        products: Any = metric.parts
        for part, layer, piece in zip(self.parts, self.layers, products, strict=True):
            if part.biased:
                pieces.append(piece)
                continue
            h = piece.domain_form
            inputs: Any = layer.space.domain
            affine = inputs.base if part.shape[2:] else inputs
            V = VectorSpace(f"V({part.name})", part.shape[1])
            own = V.frame("iota")
            frames = [own if frame.space is affine else frame for frame in frames]
            space: Any = PowerVectorSpace(V, part.shape[2:]) if part.shape[2:] else V
            frame = space.frame(own) if part.shape[2:] else own
            A = h.components_in(layer.frame.parts[0].hull.dual)[:-1, :-1]
            form = DenseTensor(space.dual, frame.dual, A, h.namespace, "E[a (x) a]", terms=h._terms)
            pieces.append(KroneckerTensor(form, piece.codomain_form))
        return DirectSumTensor(*pieces), Parameterization(frames, name="iota")


def _use(ns: Namespace, part: LayerPart, layer: Any, taken: Any, count: int) -> Use:
    """What a part of a layer took, as the sums over places want it."""
    if not part.shape[2:]:
        if taken.numel() % (count * part.shape[1]):
            raise refusal(part.name, layer, f"it takes {tuple(taken.shape)}, which are no rows of {count} data")
        rows = taken.reshape(count, -1, part.shape[1])
        return PointUse(rows[:, 0] if rows.shape[1] == 1 else rows)
    J, kernel = part.shape[1], part.shape[2:]
    if taken.ndim != 2 + len(kernel) or taken.shape[0] != count:
        raise refusal(part.name, layer, f"it takes {tuple(taken.shape)}, and not maps of {count} data")
    own = taken[:, part.group * J : (part.group + 1) * J].movedim(1, -1).contiguous()
    grid = tuple(own.shape)[1:-1]
    filled = "point" if layer.padding_mode == "zeros" else layer.padding_mode
    borders = Borders(grid, padding_of(layer.padding, kernel, layer.dilation), filled)
    padded = borders.pad(ns, own, ns.zeros((J,)) if borders.is_constant else None)
    return PatchUse(padded, Windows(borders.padded, kernel, tuple(layer.stride), tuple(layer.dilation)))


@final
@dataclass(frozen=True, slots=True, eq=False)
class ModulePass(Pass):
    """A pass whose way back is autograd's."""

    torch: Any
    parts: tuple[LayerPart, ...]
    chosen: dict[str, Any]
    frame: BaseFrame
    given: dict[str, Any]
    z: Any
    seen: tuple[Use, ...]
    outputs: Point
    valid: Array | None = None

    def uses(self) -> Sequence[Use]:
        return self.seen

    def backward(self, covectors: Vector) -> Iterator[tuple[int, Array]]:
        rows = covectors.coordinates(self.frame.linear.dual)
        names = list(self.given)
        pulled: dict[str, list[Any]] = {name: [] for name in names}
        for row in rows:
            found = self.torch.autograd.grad(
                self.z, [self.given[name] for name in names], row, retain_graph=True, allow_unused=True
            )
            for name, gradient in zip(names, found, strict=True):
                if gradient is None:
                    raise refusal(
                        name, self.chosen[name], "the outputs do not depend on it", "Leave it out, with layers=[...]."
                    )
                pulled[name].append(gradient)
        stacked = {name: self.torch.stack(parts) for name, parts in pulled.items()}
        for index, part in reversed(list(enumerate(self.parts))):
            yield index, self._own(part, stacked[part.layer])

    def _own(self, part: LayerPart, rows: Any) -> Any:
        """The rows of one part, (K, N, *places, m)."""
        m, (K, count) = part.shape[0], (rows.shape[0], self.z.shape[0])
        if not part.shape[2:]:
            flat = rows.reshape(K, count, -1, m)
            return flat[:, :, 0] if flat.shape[2] == 1 else flat
        return rows[:, :, part.group * m : (part.group + 1) * m].movedim(2, -1).contiguous()
