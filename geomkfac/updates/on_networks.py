"""Update rules on geomkfac's own networks: what a rule may know of them."""

from __future__ import annotations

import math

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import ValuesError
from geomkfac.metrics.families.output_family import OutputModel
from geomkfac.networks.network import Network
from geomkfac.networks.passes.at_places import OutputMetric, differentials
from geomkfac.spaces import Point, Sample
from geomkfac.updates.rule import LayerToUpdate


def layers_to_update(
    network: Network, weights: Point, sample: Sample, output: OutputModel
) -> tuple[LayerToUpdate, ...]:
    """What an update rule may know of every layer, in the frames in which `weights` and `sample` stand.

    Rows of inputs are formed for all data and places, and covectors for all of the outputs' metric: for small
    networks.  Data count alike: a sample with weights is refused.

    Parameters
    ----------
    weights : a point of the network's weight space
    sample : inputs with targets, all with the same weight, and of one length
    output : an output family on a frame

    Raises
    ------
    ValuesError : the sample has weights or lengths, or came in several batches.
    """
    layers = network._layers(weights)
    own = network._own_loss(output)
    chunks = list(network._own_sample(sample).chunks())
    if len(chunks) != 1:
        raise ValuesError(f"an update rule takes its data at once; came a sample of {len(chunks)} batches.")
    (chunk,) = chunks
    if chunk.weights is not None or chunk.lengths is not None:
        raise ValuesError(
            "an update rule takes data of one weight and one length; came a sample with weights or lengths."
        )
    run = network._pass_of(layers, chunk)
    ns = run.outputs.namespace
    inputs = [use.rows(ns) for use in run.uses()]
    family = OutputMetric(own).of(run, chunk).lifted()
    derivatives: dict[int, Array] = {}
    covectors: dict[int, Array] = {}
    for index, rows in run.backward(differentials(own, run, chunk)[None]):
        derivatives[index] = _flat(ns, rows)[0, ...]
    for index, rows in run.backward(family.covectors):
        covectors[index] = _flat(ns, rows)
    found = []
    for index, (layer, a) in enumerate(zip(layers, inputs, strict=True)):
        count, places, n = a.shape
        bar = ns.concat([ns.reshape(a, (count * places, n)), ns.ones((count * places, 1))], axis=1)
        shares = ns.broadcast_to(family.weights[:, :, None], (*family.weights.shape, places))
        coefficients = ns.reshape(shares, (family.weights.shape[0], count * places))
        weight = layer.omega.coordinates(layer.frame)
        found.append(LayerToUpdate(weight, bar, derivatives[index], coefficients, covectors[index], ns, places))
    return tuple(found)


def _flat(ns: Namespace, rows: Array) -> Array:
    """(K, N, *places, m) as (K, N P, m)."""
    return ns.reshape(rows, (rows.shape[0], math.prod(rows.shape[1:-1]), rows.shape[-1]))
