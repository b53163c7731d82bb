"""The tensor product of two forms: the independence metric of one layer, at a point.

``E[a (x) a] (x) E[g(z)]`` is a form on ``Hom(Hull(A), TZ)``, made of a form h on Hull(A)* and a form k
on TZ.  In coordinates it is the Kronecker product A (x) G, columns stacked.  It determines h and k only
up to a scalar, (c h, k / c), so only products are compared (GK-11).  Its radical holds ker h and ker k,
never their product.  Source: LG (3.5), P3.7.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Generic, TypeVar, final

from geomkfac.arrays.array import Array, Scalar
from geomkfac.errors import DegenerateMetricError, SpaceMismatchError
from geomkfac.kept import Kept, kept
from geomkfac.metrics.tensors.degenerate import norm_is_degenerate, not_in_range, range_bound
from geomkfac.metrics.tensors.dense import DenseTensor, relative_eigenvalues
from geomkfac.metrics.tensors.kronecker_radical import KroneckerRadical
from geomkfac.metrics.tensors.metric_tensor import MetricTensor, Norm
from geomkfac.operators import KroneckerProduct
from geomkfac.operators.operator import StructuredMatrix
from geomkfac.required import check_type, shown
from geomkfac.spaces import Euclidean, Frame, Hom, Subspace, Vector
from geomkfac.spaces.frames.frame import DenseFrame, derived_frame

Matrix = TypeVar("Matrix", bound=StructuredMatrix)


class LayerTensor(MetricTensor, Generic[Matrix]):
    """A form on ``Hom(U, V)`` whose matrix in a frame is a structured matrix on arrays (m, n)."""

    __slots__ = ()

    space: Hom
    storage_frame: Frame
    _kept: Kept

    @abstractmethod
    def _built(self, frame: Frame) -> Matrix:
        """The structured matrix in a derived frame, made anew."""

    def _operator(self, frame: Frame) -> Matrix:
        """The structured matrix in a derived frame; in the storage frame one that keeps its factorisations."""
        return self._stored() if frame is self.storage_frame else self._built(frame)

    @kept
    def _stored(self) -> Matrix:
        return self._built(self.storage_frame)

    def coordinates(self, frame: Any) -> Any:
        """A structured matrix; a dense array (dim, dim) in a dense frame."""
        own = self.space.own_frame(frame)
        return self.dense().components_in(own) if isinstance(own, DenseFrame) else self._operator(own)

    def dense(self) -> DenseTensor:
        """The same form as one matrix; for small dimensions."""
        matrix = self._operator(self.storage_frame).dense()
        return DenseTensor(self.space, self.storage_frame, matrix, self.namespace, self.provenance)

    def _wrap(self, components: Array, dual: bool) -> Vector:
        space = self.space.dual if dual else self.space
        return space.from_components(
            self.storage_frame.dual if dual else self.storage_frame, components, self.namespace
        )

    def _flat(self, v: Vector) -> Vector:
        return self._wrap(self._operator(self.storage_frame).apply(v.components_in(self.storage_frame)), dual=True)

    def _euclidean_like(self, euclidean: Euclidean) -> KroneckerTensor:
        parts = euclidean.parameterization[self.space].parts
        ns, hom = self.namespace, self.space
        domain = DenseTensor(
            hom.domain.dual, parts[0].dual, ns.eye(hom.domain.dim), ns, "Euclidean", positive=True
        )
        codomain = DenseTensor(hom.codomain, parts[1], ns.eye(hom.codomain.dim), ns, "Euclidean", positive=True)
        return KroneckerTensor(domain, codomain)

    def _as_kronecker(self, norm: Norm, purpose: str) -> KroneckerTensor:
        tensor = self._as_tensor(norm)
        if not isinstance(tensor, KroneckerTensor):
            raise SpaceMismatchError(
                f"{purpose} of a Kronecker metric needs a second metric that is a tensor product too.\n"
                f"  came: {shown(tensor)}"
            )
        return tensor


@final
class KroneckerTensor(LayerTensor[KroneckerProduct]):
    """The tensor product ``h (x) k`` of a form on U* and a form on V: a form on ``Hom(U, V)``.

    Parameters
    ----------
    domain_form : form h on the dual of the domain; for a layer ``E[a (x) a]`` on Hull(A)*
    codomain_form : form k on the codomain; for a layer ``E[g(z)]`` on TZ
    """

    __slots__ = ("_kept", "codomain_form", "domain_form", "namespace", "provenance", "space", "storage_frame")

    def __init__(self, domain_form: MetricTensor, codomain_form: MetricTensor) -> None:
        for form in (domain_form, codomain_form):
            check_type("a factor of a tensor product", form, MetricTensor)
        h, k = _plain(domain_form.dense()), _plain(codomain_form.dense())
        if h.namespace is not k.namespace:
            raise SpaceMismatchError(f"the forms have different arrays: {h.namespace.name} and {k.namespace.name}.")
        self.domain_form, self.codomain_form = h, k
        self.space = Hom(h.space.dual, k.space)
        self.namespace = h.namespace
        self.storage_frame = derived_frame(self.space, (h.storage_frame.dual, k.storage_frame))
        self.provenance = f"({h.provenance}) (x) ({k.provenance})"
        self._kept = Kept()

    def kronecker_factors(self) -> tuple[tuple[DenseTensor, DenseTensor], ...]:
        """``((h, k),)``."""
        return ((self.domain_form, self.codomain_form),)

    def _built(self, frame: Frame) -> KroneckerProduct:
        domain, codomain = frame.parts
        return KroneckerProduct(self.domain_form.components_in(domain.dual), self.codomain_form.components_in(codomain))

    # -- degeneracy ----------------------------------------------------------------------------------
    @property
    def nullity(self) -> int:
        return self.radical.dim

    @property
    def radical(self) -> Subspace:
        return KroneckerRadical(self.space, self.domain_form.radical, self.codomain_form.radical)

    @property
    def _decision(self) -> str:
        return self.domain_form._decision

    # -- solving ---------------------------------------------------------------------------------------
    def _sharp(self, phi: Vector) -> Vector:
        """``G^{-1} D A^{-1}``.  Source: LG 2.1.3."""
        components = phi.components_in(self.storage_frame.dual)
        half = self.domain_form._solve(components)
        return self._wrap(self.codomain_form._solve_columns(half), dual=False)

    def _particular(self, phi: Vector) -> Vector:
        h, k = self.domain_form, self.codomain_form
        return self._solved(phi, h._pseudo_inverse().inverse, k._pseudo_inverse().inverse)

    def _minimal(self, phi: Vector, norm: MetricTensor) -> Vector:
        """What is smallest in ``h0 (x) k0`` is orthogonal to both radicals, in h0 and in k0."""
        h, k = self.domain_form, self.codomain_form
        if not h.nullity and not k.nullity:
            return self._sharp(phi)
        if not isinstance(norm, KroneckerTensor):
            return self._projected(self._particular(phi), norm)
        if (h.nullity and norm.codomain_form.nullity) or (k.nullity and norm.domain_form.nullity):
            raise norm_is_degenerate()
        rows = h._without_null(self._particular(phi).components_in(self.storage_frame), norm.domain_form)
        return self._wrap(k._without_null(rows.mT, norm.codomain_form).mT, dual=False)

    def _solved(self, phi: Vector, a_plus: Array, g_plus: Array) -> Vector:
        components = phi.components_in(self.storage_frame.dual)
        solution = self.namespace.matmul(self.namespace.matmul(g_plus, components), a_plus)
        self._require_range(components, solution)
        return self._wrap(solution, dual=False)

    def _require_range(self, covector: Array, solution: Array) -> None:
        h, k, ns = self.domain_form, self.codomain_form, self.namespace
        left, right = h._null(), k._null()
        if left.lengths is None or right.lengths is None:
            gaps = [ns.matmul(covector, left.columns), ns.matmul(right.columns.mT, covector)]
            if not all(ns.is_zero(gap) for gap in gaps):
                shown = [str(ns.to_numpy(gap)) for gap in gaps if not ns.is_zero(gap)]
                raise not_in_range(repr(self), " and ".join(shown))
            return
        ordered = ns.ordered("minimal_solution")
        scaled = covector / (right.lengths[:, None] * left.lengths[None, :])
        gaps = [ns.matmul(scaled, left.directions), ns.matmul(right.directions.mT, scaled)]
        first, second, size = (ordered.sqrt(ns.sum(x * x, axis=(-2, -1))) for x in (*gaps, scaled))
        energy = ns.sum(covector * solution, axis=(-2, -1))
        a, g = h._pseudo_inverse(), k._pseudo_inverse()
        bound = range_bound(ordered, energy, max(left.cut * g.top, right.cut * a.top), size, self.space.dim)
        if float(ordered.max(ordered.maximum(first, second) - bound)) > 0:
            raise not_in_range(
                repr(self),
                f"of size {float(ordered.max(first)):.3e} on the null directions of E[a (x) a] and "
                f"{float(ordered.max(second)):.3e} on those of E[g(z)], in the scaling of the metric's diagonal "
                f"(rounding allows {float(ordered.max(bound)):.1e})",
            )

    # -- algebra ---------------------------------------------------------------------------------------
    def damped(self, g0: Norm, gamma: Scalar, kind: str = "exact") -> MetricTensor:
        """'factored': ``(h + pi sqrt(gamma) h0) (x) (k + sqrt(gamma)/pi k0)``, pi by traces relative to g0."""
        other = self._as_kronecker(g0, "damping")
        if not self.kind.is_exact and other.nullity:
            raise DegenerateMetricError(
                f"a metric is damped by a nondegenerate one.\n  metric: {self!r}\n  damped by: {shown(other)}, "
                f"which is degenerate; {other._decision}\nUse for example iota.euclidean."
            )
        # In the other's frame: in this one, whose origin may lie far from that one's, its numbers may cancel.
        frame = other.storage_frame
        operator = self._operator(frame).damped_by(other._operator(frame), gamma, kind)
        if not isinstance(operator, KroneckerProduct):
            return DampedKroneckerTensor(self, other, gamma)
        domain, codomain = frame.parts
        left, right = operator.factors
        h, k = self.domain_form, self.codomain_form
        # Semidefinite plus a positive multiple of what is nondegenerate, as was just seen.
        return KroneckerTensor(
            DenseTensor(h.space, domain.dual, left, self.namespace, f"{h.provenance}, damped", positive=True),
            DenseTensor(k.space, codomain, right, self.namespace, f"{k.provenance}, damped", positive=True),
        )

    def _scaled(self, factor: Array) -> MetricTensor:
        scaled = self.codomain_form._scaled(factor)
        return KroneckerTensor(self.domain_form, scaled)

    def eigenvalues(self, relative_to: Norm) -> Array:
        """Ascending products of the factors' relative eigenvalues, shape (dim,)."""
        other = self._as_kronecker(relative_to, "eigenvalues")
        ns = self.namespace
        left = relative_eigenvalues(self.domain_form, other.domain_form)
        right = relative_eigenvalues(self.codomain_form, other.codomain_form)
        products = ns.reshape(left[:, None] * right[None, :], (self.space.dim,))
        return ns.ordered("eigenvalues").sort(products)

    def _equals(self, other: MetricTensor) -> bool:
        if isinstance(other, KroneckerTensor):
            return self._operator(self.storage_frame).equals(other._operator(self.storage_frame))
        return self.dense()._equals(other)


@final
class DampedKroneckerTensor(LayerTensor[StructuredMatrix]):
    """``g + gamma g0`` of two tensor products on one space: what exact damping by a metric gives."""

    __slots__ = ("_kept", "base", "gamma", "namespace", "other", "provenance", "space", "storage_frame")

    def __init__(self, base: KroneckerTensor, other: KroneckerTensor, gamma: Scalar) -> None:
        for form in (base, other):
            check_type("a term of a damped tensor product", form, KroneckerTensor)
        self.base, self.other, self.gamma = base, other, gamma
        self.space, self.storage_frame, self.namespace = base.space, other.storage_frame, base.namespace
        self.provenance = f"{base.provenance} + {gamma} {other.provenance}"
        self._kept = Kept()

    def _built(self, frame: Frame) -> StructuredMatrix:
        return self.base._operator(frame).damped_by(self.other._operator(frame), self.gamma, "exact")

    @property
    def nullity(self) -> int:
        return self.dense().nullity if self.kind.is_exact else 0

    def _sharp(self, phi: Vector) -> Vector:
        return self._wrap(
            self._operator(self.storage_frame).solve(phi.components_in(self.storage_frame.dual)), dual=False
        )


def _plain(form: DenseTensor) -> DenseTensor:
    """The form, stored in a frame that is not dense."""
    frame = form.storage_frame
    return form._restored(frame.over) if isinstance(frame, DenseFrame) else form
