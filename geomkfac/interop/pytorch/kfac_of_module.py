"""The K-FAC metric of layers of a PyTorch module whose other parts no network here has.  Source: LG D3.9, D4.3."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack

from geomkfac.errors import KindError
from geomkfac.interop.checkpoint import Checkpoint
from geomkfac.interop.pytorch.hooked_module import HookedModule, ModuleInputs
from geomkfac.interop.pytorch.module_metric import ModuleMetric
from geomkfac.interop.pytorch.selection import check_mode, selected
from geomkfac.interop.pytorch.support import pytorch
from geomkfac.metrics.families.output_family import Fisher, OutputFamily
from geomkfac.metrics.tensors.dense import DenseTensor
from geomkfac.metrics.tensors.direct_sum import DirectSumTensor
from geomkfac.metrics.tensors.kronecker import KroneckerTensor
from geomkfac.networks.moments.second_moments import Sharing
from geomkfac.networks.passes.at_places import OutputMetric
from geomkfac.networks.running.summing import Running, at_once, checked_running, saving_of, summed
from geomkfac.networks.running.tasks import MomentsTask
from geomkfac.spaces import Chunk, Parameterization, Sample, VectorSpace
from geomkfac.spaces.power import PowerVectorSpace
from geomkfac.spaces.samples.pieces import pieces_of_chunk
from geomkfac.spaces.samples.targets import map_targets


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
    checkpoint: Checkpoint | None = None,
    **running: Unpack[Running],
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
    checkpoint : where the sums are saved after every chunk, and from where an interrupted run goes on:
        ``Checkpoint(path)``, without frames, which are those of the module's parameters
    **running : how the pass is run, as `Running` has it: chunk_size, memory_limit, executor, progress.  By default
        what the layers take and give bounds memory; a limit is compared with what autograd keeps of one datum.
        Threads take turns in forward passes, as the hooks stand on the one module; the ways back and the sums run
        side by side.  Processes need a module that pickle can send.  Nothing depends on the chunks but rounding: in
        the sampled Fisher a datum's draws do not either

    Raises
    ------
    UnplaceableModuleError : a layer is applied twice, or not at all, or shares its parameters; a normalisation mixes
        the data of a batch, or dropout is at work; with the name of the part and what to do.
    UnknownNameError : a name in `layers` is none of the module's.
    MemoryLimitError : the limit on memory leaves no room for the factors, or for a datum beside them.
    WorkerError : the module cannot be sent to the executor's processes; or these died, again and again.
    MissingExtraError : PyTorch is not installed.

    Source: LG D3.9, D4.3.
    """
    torch = pytorch("kfac_of_module")
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
    size, limit = checked_running(running)
    chosen = selected(torch, module, layers)
    check_mode(torch, module)
    # Fewer data than the first chunk has, so that data that see each other show; and one alone where memory is short.
    few = min(8, len(X) // 2, (size or len(X)) // 2) if limit is None else 1
    function = HookedModule(module, chosen, class_axis, X[: max(1, few)])
    output_metric = OutputMetric(loss.on(function.output_frame), fisher, samples, seed)
    covectors = output_metric.covectors(function.probe[0].numel())
    much = at_once(function, function.weights, len(X), covectors, running)
    task = MomentsTask(function, function.weights, much, None, output_metric, sharing)
    sample = _sample(function, X, y, class_axis)
    keeper = checkpoint.for_module(function.iota) if isinstance(checkpoint, Checkpoint) else checkpoint
    sums = summed(task, sample, running, saving_of(keeper, task, sample, None))
    metric, iota = _without_origins(function, task.moments(sums)._into_metric())
    covered = {name for part in function.parts for name in part.entries}
    left_out = tuple(name for name, _ in module.named_parameters() if name not in covered)
    return ModuleMetric(metric, iota, function.parts, left_out)


def _sample(function: HookedModule, X: Any, y: Any, class_axis: int) -> Sample:
    """The data, with targets that have values laid out as outputs are: with these on the last axis."""

    def moved(part: Any) -> Any:
        return part.movedim(class_axis, -1) if 2 < function.probe.ndim == part.ndim else part

    inputs: Any = ModuleInputs(X)
    nowhere: Any = None  # a module takes tensors, and no points of a space
    return Sample(nowhere, partial(pieces_of_chunk, Chunk(0, inputs, map_targets(moved, y), None)), len(X))


def _without_origins(function: HookedModule, metric: DirectSumTensor) -> tuple[DirectSumTensor, Parameterization]:
    """The metric, with layers without a bias as linear maps of vectors, and its frames."""
    frames, own_parts = list(function.frames), []
    products: Any = metric.parts
    for part, layer, product in zip(function.parts, function.weights, products, strict=True):
        if part.biased:
            own_parts.append(product)
            continue
        h = product.domain_form
        inputs: Any = layer.space.domain
        affine = inputs.base if part.shape[2:] else inputs
        V = VectorSpace(f"V({part.name})", part.shape[1])
        own = V.frame("iota")
        frames = [own if frame.space is affine else frame for frame in frames]
        space: Any = PowerVectorSpace(V, part.shape[2:]) if part.shape[2:] else V
        frame = space.frame(own) if part.shape[2:] else own
        A = h.components_in(layer.frame.parts[0].hull.dual)[:-1, :-1]
        form = DenseTensor(space.dual, frame.dual, A, h.namespace, "E[a (x) a]", terms=h._terms)
        own_parts.append(KroneckerTensor(form, product.codomain_form))
    return DirectSumTensor(*own_parts), Parameterization(frames, name="iota")
