"""Streamed statistics of a network: sums that merge, from which the K-FAC metric is made.

For each layer: the sum of w a (x) a over data and places, as blocks of [a; 1][a; 1]^T, and the sum of
w c_k phi_k (x) phi_k over data, covectors and places, pulled back to the pre-activations.  Sums of parts
add, so several workers can each make one.  Source: LG (3.8), (4.5), (5.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from geomkfac.arrays.namespace import Array, Namespace
from geomkfac.errors import KindError, SpaceMismatchError, ValuesError
from geomkfac.maps.affine import AffineMaps
from geomkfac.metrics.dense import DenseTensor
from geomkfac.metrics.direct_sum import DirectSumTensor
from geomkfac.metrics.kronecker import KroneckerTensor
from geomkfac.networks.uses import Use
from geomkfac.spaces import Frame, Hull, Span

__all__ = ["KfacMoments", "LayerMoments", "RunningMoments", "Sharing"]

Sharing: TypeAlias = Literal["expand", "reduce", "kfc"]
"""What becomes of a layer that is applied at several places; see `KfacMoments`."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class LayerMoments:
    """The sums of one layer, in one frame of its weight space.

    Attributes
    ----------
    space : AffineMaps(A, Z)
    frame : the frame, with parts (frame of A, frame of Z), in which the sums are taken
    activations : array, shape (n + 1, n + 1), a sum over data and places
    covectors : array, shape (m, m), a sum over data and places
    terms : how many products were summed for an entry of each
    places : total weight of the places at which the layer was applied, an array of shape ()
    """

    space: AffineMaps
    frame: Frame
    activations: Array
    covectors: Array
    terms: tuple[int, int]
    places: Array

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
            self.space,
            self.frame,
            self.activations + activations,
            self.covectors + covectors,
            terms,
            self.places + other.places,
        )


@final
@dataclass(frozen=True, slots=True, eq=False)
class KfacMoments:
    """The sums of all layers.

    Attributes
    ----------
    layers : LayerMoments, one per layer
    weight : total weight of the data, an array of shape ()
    known : null directions of the output metric that its provenance gives, or None
    output : index of the layer whose pre-activations are the outputs; None where there is none
    sharing : 'expand': A a mean over data and places, G a mean over data of sums over places (LG (4.5),
        (5.3)); 'kfc': the same metric in GM's gauge, A a sum over places and G a mean (GM T2); 'reduce':
        inputs averaged and covectors summed over the places of each datum, before products are taken
    """

    layers: tuple[LayerMoments, ...]
    weight: Array
    known: Span | None
    namespace: Namespace
    output: int | None
    sharing: Sharing

    def __add__(self, other: KfacMoments) -> KfacMoments:
        """The moments of both parts of the data together."""
        if not isinstance(other, KfacMoments):
            return NotImplemented
        mine, theirs = (
            (len(self.layers), self.namespace, self.sharing),
            (len(other.layers), other.namespace, other.sharing),
        )
        if mine != theirs:
            raise KindError("moments merge when they are of one network, one dtype and one way of sharing.")
        pairs = zip(self.layers, other.layers, strict=True)
        merged = tuple(left.merged(right, self.namespace) for left, right in pairs)
        known = None if other.known is None else self.known
        weight = self.weight + other.weight
        return KfacMoments(merged, weight, known, self.namespace, self.output, self.sharing)

    def metric(self) -> DirectSumTensor:
        """The K-FAC metric: the means, as a direct sum of tensor products.  Source: LG D3.9, D4.3, D5.3.

        Each ``E[a (x) a]`` has entry 1 at the homogeneous coordinate (our gauge, GK-11), but for 'kfc'.
        """
        self._check_weight()
        means = []
        for layer in self.layers:
            left, right = self._weights(layer)
            means.append((layer.activations / left, layer.covectors / right))
        return self._metric_of(means)

    def _into_metric(self) -> DirectSumTensor:
        """`metric`, in the memory of the sums, which are lost: for moments that nobody else holds."""
        self._check_weight()
        means = []
        for layer in self.layers:
            activations, covectors = layer.activations, layer.covectors
            left, right = self._weights(layer)
            activations /= left
            covectors /= right
            means.append((activations, covectors))
        return self._metric_of(means)

    def _weights(self, layer: LayerMoments) -> tuple[Array, Array]:
        """What the sums of activations and of covectors are divided by."""
        if self.sharing == "expand":
            return layer.places, self.weight
        return self.weight, layer.places if self.sharing == "kfc" else self.weight

    def _check_weight(self) -> None:
        if self.namespace.is_zero(self.weight):
            raise ValuesError("the weights of the data sum to zero; there is no mean.")

    def _metric_of(self, means: list[tuple[Array, Array]]) -> DirectSumTensor:
        ns = self.namespace
        parts = []
        for index, (layer, (left, right)) in enumerate(zip(self.layers, means, strict=True)):
            mean = LayerMoments(layer.space, layer.frame, left, right, layer.terms, layer.places)
            parts.append(KroneckerTensor(*mean.forms(ns, self.known if index == self.output else None)))
        return DirectSumTensor(*parts)


@final
class RunningMoments:
    """Sums that grow chunk by chunk, in place where the arrays allow it."""

    def __init__(
        self,
        namespace: Namespace,
        spaces: tuple[AffineMaps, ...],
        frames: tuple[Frame, ...],
        sharing: Sharing,
        output: int | None,
    ) -> None:
        self._namespace, self._spaces, self._frames = namespace, spaces, frames
        self._sharing, self._output = sharing, output
        self._activations: list[Array] = [None] * len(spaces)
        self._covectors: list[Array] = [None] * len(spaces)
        self._places: list[Array] = [None] * len(spaces)
        self._terms = [(0, 0)] * len(spaces)
        self._weight: Array = None
        self._known: Span | None = None

    def add_covectors(self, index: int, rows: Array, weights: Array | None) -> None:
        """Covectors on a layer's pre-activations, (K, N, *places, m), with weights (K, N)."""
        ns, lead = self._namespace, (rows.shape[0], rows.shape[1])
        places = tuple(rows.shape)[2:-1]
        if self._sharing == "reduce" and places:
            rows, places = ns.sum(rows, axis=tuple(range(2, 2 + len(places)))), ()
        if weights is not None:
            weights = ns.reshape(weights, (*lead, *(1,) * len(places)))
            weights = ns.reshape(ns.broadcast_to(weights, (*lead, *places)), (-1,))
        flat = ns.reshape(rows, (-1, rows.shape[-1]))
        _grow(self._covectors, index, ns.gram(flat, weights))
        self._count(index, 0, flat.shape[0])

    @property
    def sums_over_places(self) -> bool:
        """Whether G is a sum over places of single places' forms."""
        return self._sharing != "reduce"

    def add_forms(self, forms: dict[int, Array], count: int) -> None:
        """Forms on the layers' pre-activations, summed over data and places: `count` products each."""
        for index, form in forms.items():
            # Symmetric but for rounding.
            _grow(self._covectors, index, form if self._namespace.kind.is_exact else (form + form.mT) / 2)
            self._count(index, 0, count)

    def add_inputs(self, index: int, use: Use, weights: Array | None, shares: Array) -> None:
        """What a layer saw, with weights (N,) or None for the ones that `shares` then holds."""
        ns = self._namespace
        if self._sharing == "reduce" and use.places > 1:
            means = use.means(ns)
            _grow(self._activations, index, ns.homogeneous_gram(means, weights))
            _grow(self._places, index, ns.sum(shares))
            self._count(index, use.count, 0)
            return
        _grow(self._activations, index, use.gram(ns, weights))
        _grow(self._places, index, use.weight(ns, shares))
        self._count(index, use.count * use.places, 0)

    def _count(self, index: int, first: int, second: int) -> None:
        before = self._terms[index]
        self._terms[index] = (before[0] + first, before[1] + second)

    def end_chunk(self, weight: Array, known: Span | None) -> None:
        """The chunk's weight, and null directions of the output metric that are known."""
        self._weight = weight if self._weight is None else self._weight + weight
        self._known = known

    def moments(self) -> KfacMoments:
        """What has been summed; nothing may be added afterwards."""
        parts = zip(
            self._spaces, self._frames, self._activations, self._covectors, self._terms, self._places, strict=True
        )
        layers = tuple(LayerMoments(*part) for part in parts)
        return KfacMoments(layers, self._weight, self._known, self._namespace, self._output, self._sharing)


def _grow(totals: list[Array], index: int, part: Array) -> None:
    if totals[index] is None:
        totals[index] = part
    else:
        totals[index] += part
