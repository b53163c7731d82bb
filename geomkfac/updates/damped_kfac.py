"""K-FAC damped as a metric is: exactly, in its factors, or relative to their size; by the identity or a metric."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.names import look_up
from geomkfac.operators import KroneckerProduct
from geomkfac.operators.operator import StructuredMatrix
from geomkfac.updates.rule import NetworkToUpdate

Factors = tuple[Array, Array]


@final
@dataclass(frozen=True, slots=True)
class DampedKfac:
    r"""K-FAC with its metric ``A (x) G`` damped by another one, ``A0 (x) G0``, weight and bias together.

    Parameters
    ----------
    damping : gamma > 0 where the kind is exact or factored, delta > 0 where it is relative; an int or Fraction, so
        that the rule runs exactly.  A float runs in floating point alone
    kind : how:

        - ``"exact"``: ``A (x) G + gamma A0 (x) G0``;
        - ``"factored"``: ``(A + pi sqrt(gamma) A0) (x) (G + sqrt(gamma) / pi G0)`` with ``pi^2 = |A| / |G|``, which
          takes roots, and so floating point;
        - ``"relative"``: ``(A + delta |A| A0) (x) (G + delta |G| G0)``, which is factored damping with
          ``gamma = delta^2 |A| |G|`` and its pi: roots cancel, and with the trace norm it is rational
    by : by what: ``"identity"``, of the coordinates at hand; or ``"first"``, the factors of the first update, carried
        along as the tensor that they are
    norm : the size of a factor, of A0 itself 1: ``"trace"``, ``|A| = tr(A0^{-1} A) / (n + 1)``; or ``"frobenius"``,
        ``|A|^2 = tr((A0^{-1} A)^2) / (n + 1)``, a root.  Exact damping does without

    Notes
    -----
    By the first factors it is invariant to every affine change of basis, of every kind (LG-R3.12).  By the identity it
    is invariant to orthogonal changes of activations, and to orthogonal changes and shifts of pre-activations;
    relative damping also to their multiplication by a number.  That of activations it sees, as the homogeneous
    coordinate stays 1.
    Source: GM (9)-(10), (39)-(44); NN (24).
    """

    damping: int | Fraction | float = Fraction(1, 100)
    kind: Literal["exact", "factored", "relative"] = "exact"
    by: Literal["identity", "first"] = "identity"
    norm: Literal["trace", "frobenius"] = "trace"

    def __post_init__(self) -> None:
        look_up("kind of damping", self.kind, dict.fromkeys(("exact", "factored", "relative")))
        look_up("metric to damp by", self.by, dict.fromkeys(("identity", "first")))
        look_up("norm of a factor", self.norm, dict.fromkeys(("trace", "frobenius")))

    def __call__(self, network: NetworkToUpdate) -> list[Array]:
        ns, new = network.ns, []
        for index, layer in enumerate(network.layers):
            factors = layer.A, layer.G
            by = ns.eye(factors[0].shape[0]), ns.eye(factors[1].shape[0])
            if self.by == "first":
                by = network.state.setdefault(index, factors)
            new.append(layer.weights - network.rate * self._damped(ns, factors, by).solve(layer.gradient))
        return new

    def _damped(self, ns: Namespace, factors: Factors, by: Factors) -> StructuredMatrix:
        metric, other = KroneckerProduct(*factors), KroneckerProduct(*by)
        if self.kind == "exact":
            return metric.damped_by(other, self.damping)
        A, G = (self._size(ns, *pair) for pair in zip(factors, by, strict=True))
        if self.kind == "factored":
            pi = ns.ordered("factored damping").sqrt(A / G)
            return metric.damped_by(other, self.damping, "factored", pi=pi)
        delta = ns.scalar(self.damping)
        return KroneckerProduct(factors[0] + by[0] * (delta * A), factors[1] + by[1] * (delta * G))

    def _size(self, ns: Namespace, factor: Array, by: Array) -> Array:
        relative, n = ns.solve(by, factor), factor.shape[0]
        if self.norm == "trace":
            return ns.trace(relative) / n
        return ns.ordered("a Frobenius norm").sqrt(ns.trace(relative @ relative) / n)
