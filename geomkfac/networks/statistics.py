"""Passes over a sample: losses, differentials, K-FAC moments and exact metrics, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from geomkfac.arrays import namespace_of
from geomkfac.arrays.namespace import Array, Namespace
from geomkfac.errors import KindError, SpaceMismatchError, ValuesError
from geomkfac.maps import SmoothMap
from geomkfac.metrics.covectors import CovectorTensor
from geomkfac.networks.layers import Layer, Trace, backward, forward
from geomkfac.networks.moments import KfacMoments, RunningMoments
from geomkfac.spaces import Chunk, Hull, ProductVectorSpace, Sample, Vector
from geomkfac.spaces.frame import Frame, derived_frame
from geomkfac.spaces.sample import chunk_weights

__all__ = ["Layers", "TensorOf", "exact_metric", "kfac_moments", "mean_differential", "mean_loss", "traces"]

Layers = tuple[Layer, ...]
TensorOf = Callable[[Trace, Chunk], CovectorTensor]

ENTRIES_PER_CHUNK = 1 << 22
"""How many numbers the largest array of one chunk may hold, unless a chunk size is given."""


def traces(
    layers: Layers, activations: tuple[SmoothMap, ...], sample: Sample, chunk_size: int
) -> Iterator[tuple[Chunk, Trace]]:
    """A forward pass for every chunk."""
    first = layers[0]
    if not isinstance(sample, Sample) or sample.space is not first.space.domain:
        raise SpaceMismatchError(
            f"the network takes a Sample of {first.space.domain!r}.\n  came: {sample!r}\n"
            "Make it with iota.sample(X, y), iota the parameterization of this network."
        )
    for chunk in sample.chunks(chunk_size):
        if chunk.points._ns is not first.omega._ns:
            raise KindError(
                "weights and data must be arrays of one dtype, library and device.\n"
                f"  weights: {first.omega._ns.name}\n  data   : {chunk.points._ns.name}\n"
                "Convert one of them, for example with X.astype(...)."
            )
        yield chunk, forward(layers, activations, chunk.points)


def default_chunk_size(layers: Layers, covectors: int) -> int:
    """As many data as keep the largest array of a backward pass below ENTRIES_PER_CHUNK."""
    widest = max(max(layer.space.codomain.dim, layer.space.domain.dim) for layer in layers)
    return max(1, ENTRIES_PER_CHUNK // max(1, covectors * widest))


def mean_loss(steps: Iterator[tuple[Chunk, Trace]], losses: Callable[[Trace, Chunk], Array]) -> Array:
    """``sum_n w_n L_n / sum_n w_n``, an array of shape ()."""
    total: Array = None
    weight: Array = None
    for chunk, trace in steps:
        ns = trace.outputs._ns
        weights = chunk_weights(chunk, ns)
        part, share = ns.sum(weights * losses(trace, chunk)), ns.sum(weights)
        total, weight = (part, share) if total is None else (total + part, weight + share)
    return total / _nonzero(weight)


def _nonzero(weight: Array) -> Array:
    if namespace_of(weight).is_zero(weight):
        raise ValuesError("the weights of the data sum to zero; there is no mean.\nGive some datum a positive weight.")
    return weight


def mean_differential(
    layers: Layers,
    space: ProductVectorSpace,
    steps: Iterator[tuple[Chunk, Trace]],
    differentials: Callable[[Trace, Chunk], Vector],
) -> Vector:
    """``dh = sum_n w_n dL_n / sum_n w_n``, a covector on the weight space.  Source: LG (2.1), 2.2.4."""
    frames = [layer.frame for layer in layers]
    totals: list[Array] = [None] * len(layers)
    weight: Array = None
    for chunk, trace in steps:
        ns = trace.outputs._ns
        weights = chunk_weights(chunk, ns)
        weight = ns.sum(weights) if weight is None else weight + ns.sum(weights)
        covectors = differentials(trace, chunk).scaled(weights)
        for index, pulled in backward(layers, trace, covectors):
            rows = pulled._in(frames[index].parts[1].linear.dual)
            inputs = layers[index].inputs(ns, trace.activations[index], frames[index])
            column = ns.reshape(ns.sum(rows, axis=0), (-1, 1))
            part = ns.concat([ns.matmul(rows.mT, inputs), column], axis=1)
            totals[index] = part if totals[index] is None else totals[index] + part
    _nonzero(weight)
    means = tuple(total / weight for total in totals)
    frame = derived_frame(space, tuple(frame.linear for frame in frames)).dual
    made: Vector = space.dual._make(frame, means, layers[0].omega._ns)
    return made


def kfac_moments(
    layers: Layers,
    steps: Iterator[tuple[Chunk, Trace]],
    tensor_of: TensorOf,
    progress: Callable[[int], None] | None,
) -> KfacMoments:
    """The sums of every chunk, merged."""
    frames = tuple(layer.frame for layer in layers)
    running = RunningMoments(layers[0].omega._ns, tuple(layer.space for layer in layers), frames)
    for chunk, trace in steps:
        _add_chunk(running, layers, frames, chunk, trace, tensor_of(trace, chunk))
        # Else it would still stand in memory beside the next one.
        del trace
        if progress is not None:
            progress(chunk.count)
    return running.moments()


def _add_chunk(
    running: RunningMoments,
    layers: Layers,
    frames: tuple[Frame, ...],
    chunk: Chunk,
    trace: Trace,
    tensor: CovectorTensor,
) -> None:
    ns = trace.outputs._ns
    covectors, weights = _folded(ns, tensor, chunk)
    for index, pulled in backward(layers, trace, covectors):
        layer, frame = layers[index], frames[index]
        rows = pulled._in(frame.parts[1].linear.dual)
        flat = ns.reshape(rows, (-1, rows.shape[-1]))
        inputs = layer.inputs(ns, trace.activations[index], frame)
        running.add_layer(index, inputs, chunk.weights, ns.gram(flat, weights), flat.shape[0])
    running.end_chunk(ns.sum(chunk_weights(chunk, ns)), tensor._known)


def _folded(ns: Namespace, tensor: CovectorTensor, chunk: Chunk) -> tuple[Vector, Array | None]:
    """Covectors and their weights; over floats the roots of the weights are folded in, once.

    That keeps each layer's sum a symmetric rank-k update.  Over exact kinds there are no roots.
    """
    weights = tensor.weights if chunk.weights is None else tensor.weights * chunk.weights
    if ns.kind.is_exact:
        return tensor.covectors, ns.reshape(weights, (-1,))
    return tensor.covectors.scaled(ns.ordered("covectors").sqrt(weights)), None


def exact_metric(
    layers: Layers, space: ProductVectorSpace, steps: Iterator[tuple[Chunk, Trace]], tensor_of: TensorOf
) -> CovectorTensor:
    """``E_xi[Psi_xi^* g]`` on the whole weight space, as a family of covectors; for small networks.

    Source: LG 3.3, Examples 3.2 to 3.4.
    """
    frames = tuple(layer.frame for layer in layers)
    frame = derived_frame(space, tuple(frame.linear for frame in frames)).dual
    weights: list[Array] = []
    leaves: list[list[Array]] = [[] for _ in layers]
    total: Array = None
    for chunk, trace in steps:
        ns = trace.outputs._ns
        tensor = tensor_of(trace, chunk)
        shares = chunk_weights(chunk, ns)
        total = ns.sum(shares) if total is None else total + ns.sum(shares)
        weights.append(ns.reshape(tensor.weights * shares, (-1,)))
        for index, pulled in backward(layers, trace, tensor.covectors):
            rows = _weight_covectors(ns, layers[index], frames[index], pulled, trace, index)
            leaves[index].append(ns.reshape(rows, (-1, *layers[index].space.slots)))
    ns = layers[0].omega._ns
    components = tuple(ns.concat(parts, axis=0) for parts in leaves)
    covectors: Vector = space.dual._make(frame, components, ns)
    return CovectorTensor(ns.concat(weights, axis=0) / total, covectors, "E[pullback of the output metric]")


def _weight_covectors(
    ns: Namespace, layer: Layer, frame: Frame, pulled: Vector, trace: Trace, index: int
) -> Any:
    """``(psi_a)^* u = a (x) u`` for every covector and datum: (K, N, m, n + 1).  Source: LG L3.5."""
    domain, codomain = frame.parts
    homogeneous = Hull(layer.space.domain).of_point(trace.activations[index])._in(domain.hull)
    return pulled._in(codomain.linear.dual)[..., :, None] * homogeneous[..., None, :]
