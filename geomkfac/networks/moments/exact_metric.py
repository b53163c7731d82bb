"""The whole metric of a network, not its K-FAC approximation: all covectors of all data, side by side."""

from __future__ import annotations

from typing import final

from geomkfac.arrays.namespace import Array
from geomkfac.metrics.tensors.covectors import CovectorTensor
from geomkfac.networks.moments.totals import Sums, Total, nonzero
from geomkfac.networks.passes.at_places import CovectorsAtPlaces
from geomkfac.networks.passes.chain_pass import Pass
from geomkfac.networks.passes.layers import Layer
from geomkfac.spaces import ProductVectorSpace, Vector
from geomkfac.spaces.frames.frame import derived_frame


@final
class ExactMetric(Sums):
    """``E_xi[Psi_xi^* g]`` on the whole weight space, as a family of covectors; for small networks.

    Attributes
    ----------
    shares : lists of arrays, the weights of the covectors
    covectors : for each layer lists of arrays (K N, *slots), in the frame of its weights

    Source: LG 3.3, Examples 3.2 to 3.4.
    """

    __slots__ = ("covectors", "shares")

    def __init__(self, count: int) -> None:
        """Of nothing, for `count` layers."""
        super().__init__()
        self.shares, self.covectors = Total(), [Total() for _ in range(count)]

    @property
    def more(self) -> list[Total]:
        return [self.shares, *self.covectors]

    def add(self, layers: tuple[Layer, ...], run: Pass, metric: CovectorsAtPlaces, weights: Array) -> None:
        """Add a chunk of data: its pass, the metric on its outputs, and the weights of the data (N,)."""
        ns, lifted, uses = run.outputs.namespace, metric.lifted(), run.uses()
        self.shares.add([ns.reshape(lifted.weights * weights, (-1,))])
        for index, rows in run.backward(lifted.covectors):
            each = uses[index].each(ns, rows)
            self.covectors[index].add([ns.reshape(each, (-1, *layers[index].space.slots))])

    def metric(self, layers: tuple[Layer, ...], space: ProductVectorSpace) -> CovectorTensor:
        """The mean over the data."""
        ns = layers[0].omega.namespace
        frame = derived_frame(space, tuple(layer.frame.linear for layer in layers)).dual
        components = tuple(ns.concat(parts.value, axis=0) for parts in self.covectors)
        covectors: Vector = space.dual.from_components(frame, components, ns)
        weights = ns.concat(self.shares.value, axis=0) / nonzero(self.weight.value)
        return CovectorTensor(weights, covectors, "E[pullback of the output metric]")
