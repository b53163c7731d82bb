"""Passes over a sample: losses, differentials, K-FAC moments and exact metrics, chunk by chunk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

from geomkfac.arrays import namespace_of
from geomkfac.arrays.namespace import Array, Namespace
from geomkfac.errors import ValuesError
from geomkfac.metrics.covectors import CovectorTensor
from geomkfac.networks.layers import Layer
from geomkfac.networks.moments import KfacMoments, RunningMoments, Sharing
from geomkfac.networks.out_of_memory import watching_memory
from geomkfac.networks.outputs import Covectors, TensorOf
from geomkfac.networks.passes import Pass
from geomkfac.spaces import Chunk, ProductVectorSpace, Vector
from geomkfac.spaces.frame import derived_frame
from geomkfac.spaces.sample import chunk_weights

__all__ = ["Layers", "Steps", "exact_metric", "kfac_moments", "mean_differential", "mean_loss"]

Layers: TypeAlias = tuple[Layer, ...]
Steps: TypeAlias = Iterator[tuple[Chunk, Pass]]


@watching_memory
def mean_loss(steps: Steps, losses: Callable[[Pass, Chunk], Array]) -> Array:
    """``sum_n w_n L_n / sum_n w_n``, an array of shape ()."""
    total: Array = None
    weight: Array = None
    for chunk, run in steps:
        ns = run.outputs._ns
        weights = chunk_weights(chunk, ns)
        part, share = ns.sum(weights * losses(run, chunk)), ns.sum(weights)
        total, weight = (part, share) if total is None else (total + part, weight + share)
    return total / _nonzero(weight)


def _nonzero(weight: Array) -> Array:
    if namespace_of(weight).is_zero(weight):
        raise ValuesError("the weights of the data sum to zero; there is no mean.\nGive some datum a positive weight.")
    return weight


@watching_memory
def mean_differential(
    layers: Layers,
    space: ProductVectorSpace,
    steps: Steps,
    differentials: Callable[[Pass, Chunk], Vector],
    losses: Callable[[Pass, Chunk], Array] | None = None,
) -> tuple[Vector, Array]:
    """``dh = sum_n w_n dL_n / sum_n w_n``, a covector on the weight space; and the mean loss, where it is asked for.

    Source: LG (2.1), 2.2.4.
    """
    frames = [layer.frame for layer in layers]
    totals: list[Array] = [None] * len(layers)
    weight: Array = None
    loss: Array = None
    for chunk, run in steps:
        ns = run.outputs._ns
        weights = chunk_weights(chunk, ns)
        weight = ns.sum(weights) if weight is None else weight + ns.sum(weights)
        if losses is not None:
            part = ns.sum(weights * losses(run, chunk))
            loss = part if loss is None else loss + part
        share = ns.reshape(weights, (chunk.count, *(1,) * len(run.places)))
        covectors = differentials(run, chunk).scaled(share)
        uses = run.uses()
        for index, rows in run.backward(covectors[None]):
            part = uses[index].contract(ns, rows[0, ...])
            totals[index] = part if totals[index] is None else totals[index] + part
    _nonzero(weight)
    means = tuple(total / weight for total in totals)
    frame = derived_frame(space, tuple(frame.linear for frame in frames)).dual
    made: Vector = space.dual._make(frame, means, layers[0].omega._ns)
    return made, None if loss is None else loss / weight


@watching_memory
def kfac_moments(
    layers: Layers,
    steps: Steps,
    tensor_of: TensorOf,
    progress: Callable[[int], None] | None,
    *,
    sharing: Sharing,
    output: int | None,
    at_once: Callable[[int], int],
) -> KfacMoments:
    """The sums of every chunk, merged.

    Parameters
    ----------
    sharing : what is done with a layer that is applied at several places
    output : index of the layer whose pre-activations are the outputs
    at_once : how many covectors may be pulled back together, for this many data
    """
    frames = tuple(layer.frame for layer in layers)
    spaces = tuple(layer.space for layer in layers)
    running = RunningMoments(layers[0].omega._ns, spaces, frames, sharing, output)
    for chunk, run in steps:
        _add_chunk(running, chunk, run, tensor_of(run, chunk), at_once(chunk.count))
        # Else it would still stand in memory beside the next one.
        del run
        if progress is not None:
            progress(chunk.count)
    return running.moments()


def _add_chunk(running: RunningMoments, chunk: Chunk, run: Pass, family: Covectors, at_once: int) -> None:
    ns = run.outputs._ns
    if family.local and running.sums_over_places:
        covectors, weights = _folded(ns, family, chunk, len(run.places))
        forms = run.summed_forms(covectors, weights)
        if forms is not None:
            running.add_forms(forms, math.prod(covectors.batch_shape))
            _add_inputs(running, chunk, run, family)
            return
    covectors, weights = _folded(ns, family.lifted(), chunk, len(run.places))
    total = covectors.batch_shape[0]
    for start in range(0, total, at_once):
        some = covectors if at_once >= total else covectors[start : min(start + at_once, total)]
        share = None if weights is None else weights[start : min(start + at_once, total), ...]
        for index, rows in run.backward(some):
            running.add_covectors(index, rows, share)
    _add_inputs(running, chunk, run, family)


def _add_inputs(running: RunningMoments, chunk: Chunk, run: Pass, family: Covectors) -> None:
    ns = run.outputs._ns
    shares = chunk_weights(chunk, ns)
    for index, use in enumerate(run.uses()):
        running.add_inputs(index, use, chunk.weights, shares)
    running.end_chunk(ns.sum(shares), family.known)


def _folded(ns: Namespace, family: Covectors, chunk: Chunk, places: int) -> tuple[Vector, Array | None]:
    """Covectors and their weights, (K, N) or local; over floats the roots of the weights are folded in, once.

    That keeps each layer's sum a symmetric rank-k update.  Over exact kinds there are no roots.
    """
    weights, extra = family.weights, (1,) * places
    if chunk.weights is not None:
        weights = weights * (ns.reshape(chunk.weights, (-1, *extra)) if family.local else chunk.weights)
    if ns.kind.is_exact:
        return family.covectors, weights
    roots = ns.ordered("covectors").sqrt(weights)
    return family.covectors.scaled(roots if family.local else ns.reshape(roots, (*roots.shape, *extra))), None


@watching_memory
def exact_metric(layers: Layers, space: ProductVectorSpace, steps: Steps, tensor_of: TensorOf) -> CovectorTensor:
    """``E_xi[Psi_xi^* g]`` on the whole weight space, as a family of covectors; for small networks.

    Source: LG 3.3, Examples 3.2 to 3.4.
    """
    frames = tuple(layer.frame for layer in layers)
    frame = derived_frame(space, tuple(frame.linear for frame in frames)).dual
    weights: list[Array] = []
    leaves: list[list[Array]] = [[] for _ in layers]
    total: Array = None
    for chunk, run in steps:
        ns = run.outputs._ns
        family = tensor_of(run, chunk).lifted()
        shares = chunk_weights(chunk, ns)
        total = ns.sum(shares) if total is None else total + ns.sum(shares)
        weights.append(ns.reshape(family.weights * shares, (-1,)))
        uses = run.uses()
        for index, rows in run.backward(family.covectors):
            each = uses[index].each(ns, rows)
            leaves[index].append(ns.reshape(each, (-1, *layers[index].space.slots)))
    ns = layers[0].omega._ns
    components = tuple(ns.concat(parts, axis=0) for parts in leaves)
    covectors: Vector = space.dual._make(frame, components, ns)
    return CovectorTensor(ns.concat(weights, axis=0) / total, covectors, "E[pullback of the output metric]")
