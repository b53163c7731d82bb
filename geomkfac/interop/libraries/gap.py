"""How two forms on one layer's parameters differ, in common coordinates: scale, A, G, and what conversion may lose."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import Any, final

import numpy as np

from geomkfac.maps import AffineMaps
from geomkfac.metrics.tensors.kronecker import KroneckerTensor
from geomkfac.metrics.tensors.metric_tensor import MetricTensor
from geomkfac.spaces import Frame, Hull, Parameterization


@final
@dataclass(frozen=True, slots=True)
class FormGap:
    """How two forms of one layer differ; sizes are Frobenius norms where the first has a unit diagonal.

    Attributes
    ----------
    discrepancy : of the two forms, relative to the larger
    linear : of A's linear block, relative to A; both in the gauge A[n, n] = 1
    cross : of A's cross block, the mean activation, relative to A in that gauge
    gradients : of G but for its scale, relative to G
    scale : second over first, of the products in that gauge
    missing_cross : whether the cross block is zero in both models' own frames
    condition : by how much numbers cancel on the way into common coordinates
    """

    discrepancy: float
    linear: float
    cross: float
    gradients: float
    scale: float
    missing_cross: bool
    condition: float


def gap_between(
    here: MetricTensor, there: MetricTensor, layer: AffineMaps, iota: Parameterization, kappa: Parameterization
) -> FormGap:
    """How `there`, of a model in kappa's coordinates, differs from `here`, of one in iota's; sizes are iota's."""
    (domain, codomain), others = (
        (frames[layer.domain].hull.dual, frames[layer.codomain].linear) for frames in (iota, kappa)
    )
    if isinstance(here, KroneckerTensor) and isinstance(there, KroneckerTensor):
        A = _Factor.of_forms(here.domain_form, there.domain_form, domain, others[0])
        G = _Factor.of_forms(here.codomain_form, there.codomain_form, codomain, others[1])
        own = here.domain_form.coordinates(domain), there.domain_form.coordinates(others[0])
        return _of_products(A, G, not any(np.any(matrix[:-1, -1]) for matrix in own))
    # A sum of products: its whole matrix, which is small or would not have been made.
    frame, other = (frames[here.space] for frames in (iota, kappa))
    first, second = here.dense(), there.dense()
    matrices = first.coordinates(frame), second.coordinates(frame), second.coordinates(other)
    images = np.kron(
        _images(Hull(layer.domain).dual, domain, others[0]), _images(layer.codomain.direction, codomain, others[1])
    )
    m = layer.codomain.dim
    missing = not any(np.any(matrix[:-m, -m:]) for matrix in (first.coordinates(frame), matrices[2]))
    return _of_sums(_Factor.converted(*matrices, images), m, missing)


def diagonal_of(form: MetricTensor, layer: AffineMaps, iota: Parameterization) -> Any:
    """The diagonal of a layer's matrix, of shape (n + 1, m): ``A[i, i] G[j, j]`` of a product."""
    if isinstance(form, KroneckerTensor):
        A = form.domain_form.coordinates(iota[layer.domain].hull.dual)
        G = form.codomain_form.coordinates(iota[layer.codomain].linear)
        return np.outer(np.diag(A), np.diag(G)).astype(np.float64)
    matrix = np.asarray(form.dense().coordinates(iota[form.space]), dtype=np.float64)
    return np.diag(matrix).reshape(-1, layer.codomain.dim)


@dataclass(frozen=True, slots=True, eq=False)
class _Factor:
    """A matrix of both models, in iota, scaled to unit diagonal there; and how much its conversion may lose."""

    here: Any
    there: Any
    condition: float

    @staticmethod
    def converted(here: Any, there: Any, there_in_kappa: Any, images: Any) -> _Factor:
        """From matrices in iota, iota and kappa, and the images of kappa's basis vectors in iota, as rows."""
        first, second, own = (np.asarray(x, dtype=np.float64) for x in (here, there, there_in_kappa))
        lengths = np.sqrt(np.maximum(np.diag(first), 0.0))
        lengths[lengths == 0] = 1.0
        # |M[i, j]| is at most d_i d_j, so this bounds every number that is summed on the way.
        spread = np.sqrt(np.maximum(np.diag(own), 0.0)) @ np.abs(images)
        scale = np.outer(lengths, lengths)
        return _Factor(first / scale, second / scale, max(1.0, float((spread / lengths).max())))

    @staticmethod
    def of_forms(here: Any, there: Any, iota: Frame, kappa: Frame) -> _Factor:
        """From two forms on one space, and its frames."""
        matrices = here.coordinates(iota), there.coordinates(iota), there.coordinates(kappa)
        return _Factor.converted(*matrices, _images(here.space, iota, kappa))


def _images(space: Any, iota: Frame, kappa: Frame) -> Any:
    """Forms on `space` are sums of squares of its dual: the dual's basis of kappa, in iota, as rows."""
    return space.dual.from_coordinates(np.eye(space.dim), kappa.dual).coordinates(iota.dual)


def _of_products(A: _Factor, G: _Factor, missing: bool) -> FormGap:
    """``A2 (x) G2 - A1 (x) G1`` with ``A2 = alpha A1 + dA``, ``G2 = beta G1 + dG``: four orthogonal parts."""
    alpha, dA = along(A.here, A.there)
    beta, dG = along(G.here, G.there)
    a, g, da, dg = (float(np.linalg.norm(x)) for x in (A.here, G.here, dA, dG))
    apart = hypot((alpha * beta - 1) * a * g, alpha * a * dg, beta * da * g, da * dg)
    size = max(a * g, hypot(alpha * a, da) * hypot(beta * g, dg)) or 1.0
    # The canonical gauge tells A's parts apart; where the 1 has no weight, the gauge in which A2 is nearest to A1.
    first, second = float(A.here[-1, -1]), float(A.there[-1, -1])
    ratio = second / first if first > 0 and second > 0 else alpha or 1.0
    gap = A.there / ratio - A.here
    return FormGap(
        discrepancy=apart / size,
        linear=float(np.linalg.norm(gap[:-1, :-1])) / (a or 1.0),
        cross=float(np.linalg.norm(gap[:, -1])) / (a or 1.0),
        gradients=dg / (abs(beta) * g or 1.0),
        scale=ratio * beta,
        missing_cross=missing,
        condition=max(A.condition, G.condition),
    )


def _of_sums(form: _Factor, m: int, missing: bool) -> FormGap:
    """Blocks of the weight, of weight and bias, and of the bias, which holds G alone; the scale is G's."""
    size = float(np.linalg.norm(form.here)) or 1.0
    scale, rest = along(form.here[-m:, -m:], form.there[-m:, -m:])
    gap = form.there / (scale or 1.0) - form.here
    return FormGap(
        discrepancy=float(np.linalg.norm(form.there - form.here)) / max(size, float(np.linalg.norm(form.there))),
        linear=float(np.linalg.norm(gap[:-m, :-m])) / size,
        cross=float(np.linalg.norm(gap[:-m, -m:])) / size,
        gradients=float(np.linalg.norm(rest)) / (abs(scale) * float(np.linalg.norm(form.here[-m:, -m:])) or 1.0),
        scale=scale,
        missing_cross=missing,
        condition=form.condition,
    )


def along(first: Any, second: Any) -> tuple[float, Any]:
    """``(c, rest)`` with ``second = c first + rest``, the rest orthogonal to the first."""
    size = float(np.vdot(first, first))
    ratio = float(np.vdot(first, second)) / size if size else 0.0
    return ratio, second - ratio * first
