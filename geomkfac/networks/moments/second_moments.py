r"""The second moments A and G of a layer, as sums over data.

A layer is an affine map ``z = omega(a)``, applied to datum n at the places t of T; the data have weights w_n, and the
metric on the outputs of datum n is ``sum_k c_k phi_k (x) phi_k``.  With ``E`` the mean over the data by their weights,

    A = E[a (x) a] = sum_n w_n sum_t [a_nt; 1] [a_nt; 1]^T  /  sum_n w_n |T|
    G = E[g(z)]    = sum_n w_n sum_t sum_k c_k d_nkt d_nkt^T  /  sum_n w_n,

where ``d_nkt`` is ``phi_k`` pulled back to the pre-activation of place t (for the Fisher metric: the derivative Dz of a
loss, in the mean over its targets).  The metric of the layer is then A (x) G.  `RunningMoments` holds the two sums,
`divisors` says what they are divided by.  A fully connected layer has one place, and |T| = 1.
Source: LG (3.8), (4.5), (5.3).
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.networks.moments.totals import Sums, Total
from geomkfac.networks.passes.at_places import CovectorsAtPlaces
from geomkfac.networks.passes.chain_pass import Pass
from geomkfac.networks.passes.layer_inputs import Use
from geomkfac.spaces import Chunk, Span, Vector

Sharing: TypeAlias = Literal["expand", "reduce", "kfc"]
"""What becomes of a layer that is applied at several places: the formulas above ('expand'); the same metric with |T| in
the first factor ('kfc'); inputs averaged and covectors summed over the places before products are taken ('reduce')."""


def divisors(sharing: Sharing, weight: Array, places: Array) -> tuple[Array, Array]:
    """What the sums for A and for G are divided by.

    Parameters
    ----------
    weight : ``sum_n w_n``
    places : ``sum_n w_n |T|``
    """
    if sharing == "expand":
        return places, weight
    return weight, places if sharing == "kfc" else weight


@final
class RunningMoments(Sums):
    """The sums for A and G of every layer, in the frames of its references.

    Attributes
    ----------
    activations : for each layer ``sum_n w_n sum_t [a; 1] [a; 1]^T``, (n + 1, n + 1)
    covectors : for each layer ``sum_n w_n sum_t sum_k c_k d d^T``, (m, m)
    places : for each layer ``sum_n w_n |T|``, ()
    known : null directions of the output metric that its provenance gives, or None
    """

    __slots__ = ("activations", "covectors", "known", "places", "sharing")

    def __init__(self, count: int, sharing: Sharing) -> None:
        """Empty sums of `count` layers."""
        super().__init__()
        self.activations, self.covectors, self.places = ([Total() for _ in range(count)] for _ in range(3))
        self.known: Span | None = None
        self.sharing = sharing

    @property
    def more(self) -> list[Total]:
        return [*self.activations, *self.covectors, *self.places]

    def absorb(self, others: RunningMoments) -> None:
        super().absorb(others)
        self.known = others.known

    def add(self, chunk: Chunk, run: Pass, metric: CovectorsAtPlaces, weights: Array, at_once: int) -> None:
        """Add a chunk of data.

        Parameters
        ----------
        run : its pass
        metric : on the outputs of each of its data
        weights : of the data, (N,)
        at_once : so many covectors are pulled back together
        """
        ns = run.outputs.namespace
        self.known = metric.known
        if not self._add_summed_forms(ns, chunk, run, metric):
            self._add_covectors(ns, chunk, run, metric, at_once)
        for index, use in enumerate(run.uses()):
            self._add_inputs(ns, index, self.reference(index).about(ns, use), chunk.weights, weights)

    # -- A ---------------------------------------------------------------------------------------------
    def _add_inputs(self, ns: Namespace, index: int, use: Use, given: Array | None, weights: Array) -> None:
        """What a layer saw; `given` are the weights, or None where all are one."""
        if self.sharing == "reduce" and use.places > 1:
            self.activations[index].add(ns.homogeneous_gram(use.means(ns), given), use.count)
            self.places[index].add(ns.sum(weights))
        else:
            self.activations[index].add(use.gram(ns, given), use.count * use.places)
            self.places[index].add(use.weight(ns, weights))

    # -- G ---------------------------------------------------------------------------------------------
    def _add_covectors(
        self, ns: Namespace, chunk: Chunk, run: Pass, metric: CovectorsAtPlaces, at_once: int
    ) -> None:
        covectors, weights = _weighted(ns, chunk, metric.lifted())
        total = covectors.batch_shape[0]
        for start in range(0, total, at_once):
            stop = min(start + at_once, total)
            some = covectors if at_once >= total else covectors[start:stop]
            share = None if weights is None else weights[start:stop, ...]
            for index, rows in run.backward(some):
                self._add_rows(ns, index, rows, share)

    def _add_rows(self, ns: Namespace, index: int, rows: Array, weights: Array | None) -> None:
        """Covectors on a layer's pre-activations, (K, N, *places, m), with weights (K, N)."""
        lead, places = (rows.shape[0], rows.shape[1]), tuple(rows.shape)[2:-1]
        if self.sharing == "reduce" and places:
            rows, places = ns.sum(rows, axis=tuple(range(2, 2 + len(places)))), ()
        if weights is not None:
            weights = ns.reshape(weights, (*lead, *(1,) * len(places)))
            weights = ns.reshape(ns.broadcast_to(weights, (*lead, *places)), (-1,))
        flat = ns.reshape(rows, (-1, rows.shape[-1]))
        self.covectors[index].add(ns.gram(flat, weights), flat.shape[0])

    def _add_summed_forms(self, ns: Namespace, chunk: Chunk, run: Pass, metric: CovectorsAtPlaces) -> bool:
        """The same sums by a way that is shorter than covectors; False where there is none."""
        if not metric.local or self.sharing == "reduce":
            return False
        covectors, weights = _weighted(ns, chunk, metric)
        forms = run.summed_forms(covectors, weights)
        for index, form in ({} if forms is None else forms).items():
            # Symmetric but for rounding.
            symmetric = form if ns.kind.is_exact else (form + form.mT) / 2
            self.covectors[index].add(symmetric, math.prod(covectors.batch_shape))
        return forms is not None


def _weighted(ns: Namespace, chunk: Chunk, metric: CovectorsAtPlaces) -> tuple[Vector, Array | None]:
    """Covectors, and their weights times those of the data; over floats the roots of these are folded in, once.

    That keeps each layer's sum a symmetric rank-k update.  Over exact kinds there are no roots.
    """
    weights, extra = metric.weights, (1,) * (len(metric.covectors.batch_shape) - 2)
    if chunk.weights is not None:
        weights = weights * (ns.reshape(chunk.weights, (-1, *extra)) if metric.local else chunk.weights)
    if ns.kind.is_exact:
        return metric.covectors, weights
    roots = ns.ordered("covectors").sqrt(weights)
    return metric.covectors.scaled(roots if metric.local else ns.reshape(roots, (*roots.shape, *extra))), None
