"""Streamed statistics of a network: sums that merge, from which the K-FAC metric is made.

For each layer: the sum of w a (x) a over data, as blocks of [a; 1][a; 1]^T, and the sum of
w c_k phi_k (x) phi_k over data and covectors, pulled back to the pre-activations.  Sums of parts add, so
several workers can each make one.  Source: LG (3.8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays.namespace import Array, Namespace
from geomkfac.errors import KindError, SpaceMismatchError, ValuesError
from geomkfac.maps.affine import AffineMaps
from geomkfac.metrics.dense import DenseTensor
from geomkfac.metrics.direct_sum import DirectSumTensor
from geomkfac.metrics.kronecker import KroneckerTensor
from geomkfac.spaces import Frame, Hull, Span

__all__ = ["KfacMoments", "LayerMoments", "RunningMoments"]


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
    terms : how many products were summed for an entry of each
    """

    space: AffineMaps
    frame: Frame
    activations: Array
    covectors: Array
    terms: tuple[int, int]

    def forms(self, ns: Namespace, known: Span | None = None) -> tuple[DenseTensor, DenseTensor]:
        """The sums as forms, on Hull(A)* and on TZ; `known` null directions of the second."""
        domain, codomain = self.frame.parts
        dual, direction = Hull(self.space.domain).dual, self.space.codomain.direction
        first, second = self.terms
        h = DenseTensor(dual, domain.hull.dual, self.activations, ns, "E[a (x) a]", terms=first)
        return h, DenseTensor(direction, codomain.linear, self.covectors, ns, "E[g(z)]", known, terms=second)

    def merged(self, other: LayerMoments, ns: Namespace) -> LayerMoments:
        """The sums of both, in the frame of the first."""
        if other.space is not self.space:
            raise SpaceMismatchError(
                f"moments merge when they are of one network.\n  left : {self.space!r}\n  right: {other.space!r}"
            )
        activations, covectors = other.activations, other.covectors
        if other.frame is not self.frame:
            domain, codomain = self.frame.parts
            h, k = other.forms(ns)
            activations, covectors = h._in(domain.hull.dual), k._in(codomain.linear)
        terms = (self.terms[0] + other.terms[0], self.terms[1] + other.terms[1])
        return LayerMoments(
            self.space, self.frame, self.activations + activations, self.covectors + covectors, terms
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
        merged = tuple(mine.merged(theirs, self.namespace) for mine, theirs in pairs)
        known = None if other.known is None else self.known
        return KfacMoments(merged, self.weight + other.weight, known, self.namespace)

    def metric(self) -> DirectSumTensor:
        """The K-FAC metric: the means, as a direct sum of tensor products.  Source: LG D3.9.

        Each ``E[a (x) a]`` has entry 1 at the homogeneous coordinate (our gauge, GK-11).
        """
        self._check_weight()
        means = [(layer.activations / self.weight, layer.covectors / self.weight) for layer in self.layers]
        return self._metric_of(means)

    def _into_metric(self) -> DirectSumTensor:
        """`metric`, in the memory of the sums, which are lost: for moments that nobody else holds."""
        self._check_weight()
        means = []
        for layer in self.layers:
            left, right = layer.activations, layer.covectors
            left /= self.weight
            right /= self.weight
            means.append((left, right))
        return self._metric_of(means)

    def _check_weight(self) -> None:
        if self.namespace.is_zero(self.weight):
            raise ValuesError("the weights of the data sum to zero; there is no mean.")

    def _metric_of(self, means: list[tuple[Array, Array]]) -> DirectSumTensor:
        ns, last = self.namespace, len(self.layers) - 1
        parts = []
        for index, (layer, (left, right)) in enumerate(zip(self.layers, means, strict=True)):
            mean = LayerMoments(layer.space, layer.frame, left, right, layer.terms)
            parts.append(KroneckerTensor(*mean.forms(ns, self.known if index == last else None)))
        return DirectSumTensor(*parts)


@final
class RunningMoments:
    """Sums that grow chunk by chunk, in place where the arrays allow it."""

    __slots__ = ("_activations", "_covectors", "_frames", "_known", "_namespace", "_spaces", "_terms", "_weight")

    def __init__(self, namespace: Namespace, spaces: tuple[AffineMaps, ...], frames: tuple[Frame, ...]) -> None:
        self._namespace, self._spaces, self._frames = namespace, spaces, frames
        self._activations: list[Array] = [None] * len(spaces)
        self._covectors: list[Array] = [None] * len(spaces)
        self._terms = [(0, 0)] * len(spaces)
        self._weight: Array = None
        self._known: Span | None = None

    def add_layer(self, index: int, rows: Array, weights: Array | None, gram: Array, count: int) -> None:
        """One chunk of a layer: activations `rows` (N, n) with `weights` (N,), and the `gram` of `count` covectors."""
        first, second = self._terms[index]
        self._terms[index] = (first + rows.shape[0], second + count)
        _grow(self._activations, index, self._namespace.homogeneous_gram(rows, weights))
        _grow(self._covectors, index, gram)

    def end_chunk(self, weight: Array, known: Span | None) -> None:
        """The chunk's weight, and null directions of the output metric that are known."""
        self._weight = weight if self._weight is None else self._weight + weight
        self._known = known

    def moments(self) -> KfacMoments:
        """What has been summed; nothing may be added afterwards."""
        parts = zip(self._spaces, self._frames, self._activations, self._covectors, self._terms, strict=True)
        return KfacMoments(tuple(LayerMoments(*part) for part in parts), self._weight, self._known, self._namespace)


def _grow(totals: list[Array], index: int, part: Array) -> None:
    if totals[index] is None:
        totals[index] = part
    else:
        totals[index] += part
