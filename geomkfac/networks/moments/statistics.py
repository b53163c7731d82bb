"""K-FAC moments and exact metrics from passes over a sample, chunk by chunk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

from geomkfac.arrays.floats.memory import in_hand
from geomkfac.arrays.namespace import Array, Namespace
from geomkfac.metrics.tensors.covectors import CovectorTensor
from geomkfac.networks.moments.kfac_moments import Sharing, nonzero
from geomkfac.networks.moments.running_moments import RunningMoments
from geomkfac.networks.passes.at_places import Covectors, TensorOf
from geomkfac.networks.passes.chain_pass import Pass
from geomkfac.networks.passes.layers import Layer
from geomkfac.spaces import Chunk, Piece, ProductVectorSpace, Vector
from geomkfac.spaces.frames.frame import derived_frame
from geomkfac.spaces.samples.pieces import chunk_weights

Layers: TypeAlias = tuple[Layer, ...]


def running_moments(layers: Layers, sharing: Sharing, output: int | None) -> RunningMoments:
    """Empty sums, in the frames of the layers.

    Parameters
    ----------
    sharing : what is done with a layer that is applied at several places
    output : index of the layer whose pre-activations are the outputs
    """
    frames = tuple(layer.frame for layer in layers)
    spaces = tuple(layer.space for layer in layers)
    return RunningMoments(layers[0].omega.namespace, spaces, frames, sharing, output)


def add_chunk(running: RunningMoments, chunk: Chunk, run: Pass, family: Covectors, at_once: int) -> None:
    """Add a chunk, its pass and its output metric, to the sums; `at_once` covectors are pulled back together."""
    ns = run.outputs.namespace
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
    ns = run.outputs.namespace
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


def exact_metric(
    layers: Layers,
    space: ProductVectorSpace,
    pieces: Iterator[Piece],
    run_of: Callable[[Chunk], Pass],
    tensor_of: TensorOf,
) -> CovectorTensor:
    """``E_xi[Psi_xi^* g]`` on the whole weight space, as a family of covectors; for small networks.

    Raises
    ------
    DeviceMemoryError : the memory does not suffice for a piece.

    Source: LG 3.3, Examples 3.2 to 3.4.
    """
    frames = tuple(layer.frame for layer in layers)
    frame = derived_frame(space, tuple(frame.linear for frame in frames)).dual
    weights: list[Array] = []
    leaves: list[list[Array]] = [[] for _ in layers]
    total: Array = None
    ns = layers[0].omega.namespace
    for piece in pieces:
        with in_hand(piece.count, ns):
            chunk = piece.load()
            run = run_of(chunk)
            family = tensor_of(run, chunk).lifted()
            shares = chunk_weights(chunk, ns)
            total = ns.sum(shares) if total is None else total + ns.sum(shares)
            weights.append(ns.reshape(family.weights * shares, (-1,)))
            uses = run.uses()
            for index, rows in run.backward(family.covectors):
                each = uses[index].each(ns, rows)
                leaves[index].append(ns.reshape(each, (-1, *layers[index].space.slots)))
    components = tuple(ns.concat(parts, axis=0) for parts in leaves)
    covectors: Vector = space.dual.from_components(frame, components, ns)
    return CovectorTensor(ns.concat(weights, axis=0) / nonzero(total), covectors, "E[pullback of the output metric]")
