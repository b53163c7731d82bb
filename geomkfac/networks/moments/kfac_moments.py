"""Moments of a network: sums over data that merge, from which the K-FAC metric is made.

Moments add where they are of one network, and mean something where they are also of one point, output and Fisher
metric; that is for the caller to see to.  Parts of the data number their data from 0 each: of sampled targets take
another seed for each part, as draws depend on (seed, number) alone.

For each layer they are the two sums of `second_moments`, with the frame that they stand in, so that they can be taken
over into another.  Sums of parts add, and several workers can each make one.  Source: LG (3.8), (4.5), (5.3).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import KindError, SpaceMismatchError, ValuesError
from geomkfac.maps.affine import AffineMaps
from geomkfac.metrics.tensors.dense import DenseTensor
from geomkfac.metrics.tensors.direct_sum import DirectSumTensor
from geomkfac.metrics.tensors.kronecker import KroneckerTensor
from geomkfac.networks.moments.reference import carried
from geomkfac.networks.moments.second_moments import Sharing, divisors
from geomkfac.networks.moments.totals import nonzero
from geomkfac.spaces import Frame, Hull, Span
from geomkfac.spaces.samples.rounding import Doubt, least_seen


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
    noise : array (n,), the standard deviation of what single inputs were rounded by, in the frame; None where it is
        no more than a rounding of each
    doubt : why the inputs' second moments may show a direction as null that is none; None where nothing says so

    Sums of float32 are float64 where the library has it.
    """

    space: AffineMaps
    frame: Frame
    activations: Array
    covectors: Array
    terms: tuple[int, int]
    places: Array
    noise: Array | None = None
    doubt: Doubt | None = None

    def forms(self, ns: Namespace, known: Span | None = None) -> tuple[DenseTensor, DenseTensor]:
        """The sums as forms in a namespace, on Hull(A)* and on TZ; `known` null directions of the second."""
        domain, codomain = self.frame.parts
        dual, direction = Hull(self.space.domain).dual, self.space.codomain.direction
        (first, second), A, G = self.terms, ns.cast(self.activations), ns.cast(self.covectors)
        noise = self._hull_noise(ns, A)
        h = DenseTensor(dual, domain.hull.dual, A, ns, "E[a (x) a]", terms=first, noise=noise, doubt=self.doubt)
        return h, DenseTensor(direction, codomain.linear, G, ns, "E[g(z)]", known, terms=second)

    def _hull_noise(self, ns: Namespace, A: Array) -> Array | None:
        """The noise of inputs at all places taken together and of the homogeneous coordinate, which has none.

        In the scale of the form, which its last entry shows.
        """
        if ns.kind.is_exact:
            return None
        own, n = self.noise, self.space.domain.dim
        if own is None or not n:
            return ns.zeros((n + 1,))
        copies = n // own.shape[0]
        noise = ns.concat([*[ns.cast(own)] * copies, ns.zeros((1,))], axis=0)
        return noise * ns.ordered("rounding").sqrt(A[-1, -1])

    def merged(self, other: LayerMoments, ns: Namespace) -> LayerMoments:
        """The sums of both, in the frame of the first."""
        if other.space is not self.space:
            raise SpaceMismatchError(
                f"moments merge when they are of one network.\n  left : {self.space!r}\n  right: {other.space!r}"
            )
        there = other.stored_in(self.frame, ns.wide)
        return replace(
            self,
            activations=self.activations + there.activations,
            covectors=self.covectors + there.covectors,
            terms=(self.terms[0] + other.terms[0], self.terms[1] + other.terms[1]),
            places=self.places + other.places,
            noise=_larger(ns, self.noise, there.noise),
            doubt=least_seen(self.doubt, other.doubt),
        )

    def stored_in(self, frame: Frame, ns: Namespace) -> LayerMoments:
        """The same sums, in another frame of the weight space."""
        if frame is self.frame:
            return self
        domain, codomain = frame.parts
        h, k = self.forms(ns)
        activations, covectors = h.components_in(domain.hull.dual), k.components_in(codomain.linear)
        noise = carried(ns, self.noise, self.frame, frame)
        return replace(self, frame=frame, activations=activations, covectors=covectors, noise=noise)


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
    loss : sum of w_n L_n, an array of shape (); None where it was not asked for
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
    loss: Array | None = None

    def __add__(self, other: KfacMoments) -> KfacMoments:
        """The moments of both parts of the data together."""
        if not isinstance(other, KfacMoments):
            return NotImplemented
        alike = [(len(moments.layers), moments.namespace, moments.sharing) for moments in (self, other)]
        if alike[0] != alike[1]:
            raise KindError("moments merge when they are of one network, one dtype and one way of sharing.")
        pairs = zip(self.layers, other.layers, strict=True)
        merged = tuple(left.merged(right, self.namespace) for left, right in pairs)
        known = None if other.known is None else self.known
        loss = None if self.loss is None or other.loss is None else self.loss + other.loss
        return replace(self, layers=merged, weight=self.weight + other.weight, known=known, loss=loss)

    def mean_loss(self) -> Array:
        """The mean loss of the same data, an array of shape ().

        Raises
        ------
        ValuesError : the moments were taken without ``with_loss=True``.
        """
        weight = nonzero(self.weight)
        if self.loss is None:
            raise ValuesError("these moments hold no loss.\nTake them with net.moments(..., with_loss=True).")
        return self.namespace.cast(self.loss / weight)

    def metric(self) -> DirectSumTensor:
        """The K-FAC metric: the means, as a direct sum of tensor products.  Source: LG D3.9, D4.3, D5.3.

        Each ``E[a (x) a]`` has entry 1 at the homogeneous coordinate (our gauge, GK-11), but for 'kfc'.
        """
        return self._means(operator.truediv)

    def _into_metric(self) -> DirectSumTensor:
        """`metric`, in the memory of the sums, which are lost: for moments that nobody else holds."""
        return self._means(operator.itruediv)

    def _means(self, divided: Callable[[Array, Array], Array]) -> DirectSumTensor:
        weight, parts = nonzero(self.weight), []
        for index, layer in enumerate(self.layers):
            left, right = divisors(self.sharing, weight, layer.places)
            mean = replace(
                layer, activations=divided(layer.activations, left), covectors=divided(layer.covectors, right)
            )
            known = self.known if index == self.output else None
            parts.append(KroneckerTensor(*mean.forms(self.namespace, known)))
        return DirectSumTensor(*parts)


def _larger(ns: Namespace, one: Array | None, other: Array | None) -> Array | None:
    if one is None or other is None:
        return other if one is None else one
    return ns.ordered("rounding").maximum(one, other)
