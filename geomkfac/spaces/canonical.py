"""Canonical isomorphisms, as objects with names.

Each needs no choice of basis: in corresponding frames it only rearranges components.  ``V** = V`` is
an identity here and has no object.  V -> V* is not canonical and is not here.
Source: LG 2.2.2, (A.1), (A.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import final

from geomkfac.errors import SpaceMismatchError
from geomkfac.required import check_type, shown
from geomkfac.spaces.element import Vector
from geomkfac.spaces.frames.frame import Frame, derived_frame
from geomkfac.spaces.space import Space
from geomkfac.spaces.tensor import Hom, TensorProduct
from geomkfac.spaces.vector import LinearSpace


@final
@dataclass(frozen=True, slots=True, eq=False)
class CanonicalIsomorphism:
    """An invertible linear map that no choice of basis defines.

    Attributes
    ----------
    name : what it is, as a formula
    domain, codomain : vector spaces
    """

    name: str
    domain: LinearSpace
    codomain: LinearSpace
    _order: tuple[int, ...]
    _forth: Callable[[Frame], Frame]
    _back: Callable[[Frame], Frame]

    def __call__(self, vector: Vector) -> Vector:
        """The image of a vector of the domain."""
        if not isinstance(vector, Vector) or vector.space is not self.domain:
            raise SpaceMismatchError(f"{self!r} takes a vector of {self.domain!r}.\n  came: {shown(vector)}")
        frame = vector.storage_frame.structured
        ns, batch = vector.namespace, len(vector.batch_shape)
        axes = [*range(batch), *(batch + axis for axis in self._order)]
        return self.codomain.from_components(
            self._forth(frame), ns.permute(vector.components_in(frame), axes), ns
        )

    @property
    def inverse(self) -> CanonicalIsomorphism:
        """The isomorphism back."""
        order = tuple(self._order.index(axis) for axis in range(len(self._order)))
        return CanonicalIsomorphism(
            f"({self.name})^-1", self.codomain, self.domain, order, self._back, self._forth
        )

    def __repr__(self) -> str:
        return f"CanonicalIsomorphism({self.name}: {self.domain!r} -> {self.codomain!r})"


# -- what becomes of frames: functions that pickle can name ------------------------------------------------------
def _first_dual(space: LinearSpace, frame: Frame) -> Frame:
    return derived_frame(space, (frame.parts[0].dual, frame.parts[1]))


def _dual_of_duals(product: LinearSpace, frame: Frame) -> Frame:
    return derived_frame(product, tuple(part.dual for part in frame.parts)).dual


def _duals_of_dual(duals: LinearSpace, frame: Frame) -> Frame:
    return derived_frame(duals, tuple(part.dual for part in frame.dual.parts))


def _reversed(space: LinearSpace, frame: Frame) -> Frame:
    return derived_frame(space, frame.parts[::-1])


# -- the isomorphisms --------------------------------------------------------------------------------------------
def tensor_as_hom(domain: Space, codomain: Space) -> CanonicalIsomorphism:
    """``U* (x) V -> Hom(U, V)``, phi (x) v to u -> phi(u) v.  Source: LG (A.1)."""
    hom = Hom(domain, codomain)
    product = TensorProduct(hom.domain.dual, hom.codomain)
    inner, outer = len(hom.domain.slots), len(hom.codomain.slots)
    order = (*range(inner, inner + outer), *range(inner))
    return CanonicalIsomorphism(
        "U* (x) V = Hom(U, V)",
        product,
        hom,
        order,
        partial(_first_dual, hom),
        partial(_first_dual, product),
    )


def dual_of_tensor(left: LinearSpace, right: LinearSpace) -> CanonicalIsomorphism:
    """``U* (x) V* -> (U (x) V)*``, phi (x) psi to u (x) v -> phi(u) psi(v).  Source: LG (A.2)."""
    product = TensorProduct(left, right)
    duals = TensorProduct(left.dual, right.dual)
    order = tuple(range(len(duals.slots)))
    forth, back = partial(_dual_of_duals, product), partial(_duals_of_dual, duals)
    return CanonicalIsomorphism("U* (x) V* = (U (x) V)*", duals, product.dual, order, forth, back)


def swap(left: LinearSpace, right: LinearSpace) -> CanonicalIsomorphism:
    """``U (x) V -> V (x) U``, u (x) v to v (x) u."""
    here, there = TensorProduct(left, right), TensorProduct(right, left)
    inner, outer = len(left.slots), len(right.slots)
    order = (*range(inner, inner + outer), *range(inner))
    return CanonicalIsomorphism(
        "U (x) V = V (x) U",
        here,
        there,
        order,
        partial(_reversed, there),
        partial(_reversed, here),
    )


def bilinear_as_map(space: LinearSpace) -> CanonicalIsomorphism:
    """``V* (x) V* -> Hom(V, V*)``, a bilinear form to v -> form(v, .): the flat map of a metric."""
    check_type("the space of a bilinear form", space, LinearSpace)
    return tensor_as_hom(space, space.dual)
