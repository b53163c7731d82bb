"""Streamed statistics of a network: sums that merge, from which the K-FAC metric is made.

For each layer: the sum of w a (x) a over data, as blocks of [a; 1][a; 1]^T, and the sum of
w c_k phi_k (x) phi_k over data and covectors, pulled back to the pre-activations.  Sums of parts add, so
several workers can each make one.  Source: LG (3.8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays.namespace import Array, Namespace
from geomkfac.errors import FrameError, KindError, ValuesError
from geomkfac.maps.affine import AffineMaps
from geomkfac.metrics.dense import DenseTensor
from geomkfac.metrics.direct_sum import DirectSumTensor
from geomkfac.metrics.kronecker import KroneckerTensor
from geomkfac.spaces import Frame, Hull, Span

__all__ = ["KfacMoments", "LayerMoments", "activation_moment"]


def activation_moment(ns: Namespace, rows: Array, weights: Array | None) -> Array:
    """``sum_n w_n [a_n; 1] [a_n; 1]^T``, (n + 1, n + 1), from rows (N, n), without copying them."""
    count, n = rows.shape
    if weights is None:
        weighted, total = ns.sum(rows, axis=0), ns.scalar(count)
    else:
        weighted, total = ns.matmul(weights, rows), ns.sum(weights)
    column = ns.reshape(weighted, (n, 1))
    top = ns.concat([ns.gram(rows, weights), column], axis=1)
    bottom = ns.concat([column.mT, ns.reshape(total, (1, 1))], axis=1)
    return ns.concat([top, bottom], axis=0)


@final
@dataclass(frozen=True, slots=True, eq=False)
class LayerMoments:
    """The sums of one layer, in one frame of its weight space.

    Attributes
    ----------
    space : AffineMaps(A, Z)
    frame : the frame, with parts (frame of A, frame of Z), in which the sums are taken
    activations : array, shape (n + 1, n + 1), a sum over data
    covectors : array, shape (m, m), a sum over data
    """

    space: AffineMaps
    frame: Frame
    activations: Array
    covectors: Array

    def merged(self, other: LayerMoments) -> LayerMoments:
        """The sums of both."""
        if other.frame is not self.frame:
            raise FrameError("moments merge in one frame: run both parts from weights stored in the same frames.")
        return LayerMoments(
            self.space, self.frame, self.activations + other.activations, self.covectors + other.covectors
        )


@final
@dataclass(frozen=True, slots=True, eq=False)
class KfacMoments:
    """The sums of all layers.

    Attributes
    ----------
    layers : LayerMoments, one per layer
    weight : total weight of the data, an array of shape ()
    known : null directions of the last layer's output metric that its provenance gives, or None
    """

    layers: tuple[LayerMoments, ...]
    weight: Array
    known: Span | None
    namespace: Namespace

    def __add__(self, other: KfacMoments) -> KfacMoments:
        """The moments of both parts of the data together."""
        if not isinstance(other, KfacMoments):
            return NotImplemented
        if len(other.layers) != len(self.layers) or other.namespace is not self.namespace:
            raise KindError("moments merge when they are of one network and one dtype.")
        pairs = zip(self.layers, other.layers, strict=True)
        merged = tuple(mine.merged(theirs) for mine, theirs in pairs)
        return KfacMoments(merged, self.weight + other.weight, self.known, self.namespace)

    def metric(self) -> DirectSumTensor:
        """The K-FAC metric: the means, as a direct sum of tensor products.  Source: LG D3.9.

        Each ``E[a (x) a]`` has entry 1 at the homogeneous coordinate (our gauge, GK-11).
        """
        ns = self.namespace
        if ns.is_zero(self.weight):
            raise ValuesError("the weights of the data sum to zero; there is no mean.")
        last = len(self.layers) - 1
        parts = []
        for index, layer in enumerate(self.layers):
            domain, codomain = layer.frame.parts
            dual = Hull(layer.space.domain).dual
            h = DenseTensor(dual, domain.hull.dual, layer.activations / self.weight, ns, "E[a (x) a]")
            k = DenseTensor(
                layer.space.codomain.direction,
                codomain.linear,
                layer.covectors / self.weight,
                ns,
                "E[g(z)]",
                self.known if index == last else None,
            )
            parts.append(KroneckerTensor(h, k))
        return DirectSumTensor(*parts)
