"""Sums of a network's statistics that grow chunk by chunk."""

from __future__ import annotations

from typing import final

from geomkfac.arrays.namespace import Array, Namespace
from geomkfac.maps.affine import AffineMaps
from geomkfac.networks.moments.kfac_moments import KfacMoments, LayerMoments, Sharing
from geomkfac.networks.passes.uses import Use
from geomkfac.spaces import Frame, Span


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
        self._loss: Array | None = None

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

    def add_loss(self, loss: Array) -> None:
        """The chunk's losses, summed with their weights."""
        self._loss = loss if self._loss is None else self._loss + loss

    def end_chunk(self, weight: Array, known: Span | None) -> None:
        """The chunk's weight, and null directions of the output metric that are known."""
        self._weight = weight if self._weight is None else self._weight + weight
        self._known = known

    def absorb(self, moments: KfacMoments) -> None:
        """Sums over other data, of the same network; in whatever frames they come, they are taken over into these."""
        for index, (layer, frame) in enumerate(zip(moments.layers, self._frames, strict=True)):
            there = layer.stored_in(frame, self._namespace)
            _grow(self._activations, index, there.activations)
            _grow(self._covectors, index, there.covectors)
            _grow(self._places, index, there.places)
            self._count(index, *layer.terms)
        if moments.loss is not None:
            self.add_loss(moments.loss)
        self.end_chunk(moments.weight, moments.known)

    def moments(self) -> KfacMoments:
        """What has been summed.  The arrays are the sums' own: they change where something is added afterwards."""
        parts = zip(
            self._spaces, self._frames, self._activations, self._covectors, self._terms, self._places, strict=True
        )
        layers = tuple(LayerMoments(*part) for part in parts)
        return KfacMoments(
            layers, self._weight, self._known, self._namespace, self._output, self._sharing, self._loss
        )


def _grow(totals: list[Array], index: int, part: Array) -> None:
    if totals[index] is None:
        totals[index] = part
    else:
        totals[index] += part
