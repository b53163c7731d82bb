"""The whole metric of a network, not its K-FAC approximation: all covectors of all data, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from geomkfac.arrays.array import Array
from geomkfac.metrics.tensors.covectors import CovectorTensor
from geomkfac.networks.moments.totals import nonzero
from geomkfac.networks.passes.at_places import CovectorsAtPlaces
from geomkfac.networks.passes.chain_pass import Pass
from geomkfac.networks.passes.layers import Layer
from geomkfac.spaces import ProductVectorSpace, Vector
from geomkfac.spaces.frames.frame import derived_frame

PulledBack: TypeAlias = tuple[Array, list[Array]]
"""Weights (K N,) of covectors, and these for each layer, (K N, *slots), in the frame of its weights."""


def pulled_back(layers: Sequence[Layer], run: Pass, metric: CovectorsAtPlaces, weights: Array) -> PulledBack:
    """The metric on the outputs of a chunk, at all weights together; `weights` of the data, (N,)."""
    ns, lifted, uses = run.outputs.namespace, metric.lifted(), run.uses()
    covectors: list[Array] = [None] * len(layers)
    for index, rows in run.backward(lifted.covectors):
        covectors[index] = ns.reshape(uses[index].each(ns, rows), (-1, *layers[index].space.slots))
    return ns.reshape(lifted.weights * weights, (-1,)), covectors


def exact_metric(
    layers: Sequence[Layer], space: ProductVectorSpace, chunks: Sequence[PulledBack], weight: Array
) -> CovectorTensor:
    """``E_xi[Psi_xi^* g]`` on the whole weight space, as a family of covectors; for small networks.

    Parameters
    ----------
    space : of steps of the weights
    chunks : of all data
    weight : their weight

    Source: LG 3.3, Examples 3.2 to 3.4.
    """
    ns = layers[0].omega.namespace
    frame = derived_frame(space, tuple(layer.frame.linear for layer in layers)).dual
    weights, covectors = zip(*chunks, strict=True)
    components = tuple(ns.concat(parts, axis=0) for parts in zip(*covectors, strict=True))
    made: Vector = space.dual.from_components(frame, components, ns)
    shares = ns.concat(weights, axis=0) / nonzero(weight)
    return CovectorTensor(shares, made, "E[pullback of the output metric]")
