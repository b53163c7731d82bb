"""Coordinate changes: what turns components in one frame into components in another.

A change is structured as its space is: one matrix per slot of a tensor, a translation where the
space is affine, one change per factor of a product.  Kronecker matrices are never formed, identity
matrices never multiplied, and those with one entry in each row and column only pick and scale.
Matrices are kept in the default namespace of their kind and cast once
for each dtype and device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, final
from weakref import WeakKeyDictionary

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Kind, Namespace
from geomkfac.kept import Kept, kept
from geomkfac.spaces.frames.monomial import Monomial, monomial

Components: TypeAlias = Any
"""An array of shape (*batch, *slots); for a product space a tuple of these, one per factor."""


def map_components(function: Callable[..., Array], *trees: Components) -> Components:
    """Apply an array function to every leaf of components of the same structure."""
    if isinstance(trees[0], tuple):
        return tuple(map_components(function, *leaves) for leaves in zip(*trees, strict=True))
    return function(*trees)


@final
class BaseChange:
    """The change between two frames of one base space: ``y = matrix @ x + translation``.

    `matrix` and `inverse` (n, n) are both None where the linear part is the identity;
    `translation` (n,) is None where it is zero, and always for vector spaces.
    """

    __slots__ = ("_kept", "dim", "inverse", "kind", "matrix", "translation")

    def __init__(
        self, kind: Kind, dim: int, matrix: Array | None, inverse: Array | None, translation: Array | None
    ) -> None:
        self.kind, self.dim = kind, dim
        self.matrix, self.inverse, self.translation = matrix, inverse, translation
        self._kept = Kept()

    def inverted(self) -> BaseChange:
        """The change back, ``x = inverse @ y - inverse @ translation``."""
        moved = self.translation
        if moved is not None:
            moved = -(moved if self.inverse is None else self.inverse @ moved)
        return BaseChange(self.kind, self.dim, self.inverse, self.matrix, moved)

    def then(self, later: BaseChange) -> BaseChange:
        """The composition: first this change, then `later`."""
        moved = self.translation
        if moved is not None and later.matrix is not None:
            moved = later.matrix @ moved
        if later.translation is not None:
            moved = later.translation if moved is None else moved + later.translation
        return BaseChange(
            self.kind,
            self.dim,
            _product(later.matrix, self.matrix),
            _product(self.inverse, later.inverse),
            moved,
        )

    def linear(self) -> BaseChange:
        """The linear part alone: the change on the direction."""
        return BaseChange(self.kind, self.dim, self.matrix, self.inverse, None)

    def dual(self) -> BaseChange:
        """The change on the dual space, the inverse transpose, of a linear change."""
        if self.matrix is None or self.inverse is None:
            return self
        return BaseChange(self.kind, self.dim, self.inverse.mT, self.matrix.mT, None)

    @property
    @kept
    def monomial(self) -> Monomial | None:
        """The matrix as one that picks and scales, where it is one."""
        return None if self.matrix is None else monomial(self.matrix)

    @property
    def arrays(self) -> tuple[Array | None, ...]:
        """What `apply` needs, to be cast into its namespace."""
        return (self.matrix if self.monomial is None else self.monomial.scales,)

    def apply(self, ns: Namespace, arrays: Sequence[Array | None], components: Array, axis: int) -> Array:
        """The linear part, along the negative `axis` of `components`."""
        (matrix,) = arrays
        if matrix is None:
            return components
        if self.monomial is not None:
            return self.monomial.apply(ns, matrix, components, axis)
        return ns.apply(matrix, components, axis)

    def congruence(self, ns: Namespace, arrays: Sequence[Array | None], form: Array) -> Array:
        """``B form B^T`` of a symmetric `form` (n, n), B the linear part; exactly symmetric."""
        (matrix,) = arrays
        if matrix is None:
            return form
        return ns.congruence(matrix, form) if self.monomial is None else self.monomial.congruence(ns, matrix, form)


@final
class HullChange:
    """The linear change on the hull of A^K that a change ``a' = B a + c`` of A induces: one slot, K n + 1 long.

    ``[a_1; ...; a_K; w]`` becomes ``[B a_1 + c w; ...; B a_K + c w; w]``: the linear part is I (x) B, the
    translation 1 (x) c, and there is *one* homogeneous coordinate (erratum E1).  On covectors it is the
    inverse transpose.  No matrix of size K n + 1 is formed.

    Parameters
    ----------
    copies : K
    change : BaseChange of A
    covectors : whether it acts on the dual of the hull
    """

    __slots__ = ("_linear", "change", "copies", "covectors")

    def __init__(self, copies: int, change: BaseChange, *, covectors: bool = False) -> None:
        self.copies, self.change, self.covectors = copies, change, covectors
        linear = change.linear()
        self._linear = linear.dual() if covectors else linear

    def dual(self) -> HullChange:
        """The same change on the dual space."""
        return HullChange(self.copies, self.change, covectors=not self.covectors)

    @property
    def arrays(self) -> tuple[Array | None, ...]:
        """What `apply` needs, to be cast into its namespace."""
        return *self._linear.arrays, self.change.translation

    def apply(self, ns: Namespace, arrays: Sequence[Array | None], components: Array, axis: int) -> Array:
        """The change along the negative `axis` of `components`."""
        matrix, translation = arrays
        if matrix is None and translation is None:
            return components
        if axis != -1:
            order = [*(i for i in range(components.ndim) if i != components.ndim + axis), components.ndim + axis]
            moved = self.apply(ns, arrays, ns.permute(components, order), -1)
            return ns.permute(moved, [order.index(i) for i in range(components.ndim)])
        n, batch = self.change.dim, tuple(components.shape)[:-1]
        blocks, last = ns.reshape(components[..., :-1], (*batch, self.copies, n)), components[..., -1:]
        blocks = self._linear.apply(ns, (matrix,), blocks, -1)
        if translation is not None:
            if self.covectors:
                last = last - ns.reshape(ns.sum(ns.matmul(blocks, translation), axis=-1), (*batch, 1))
            else:
                blocks = blocks + last[..., None] * translation
        return ns.concat([ns.reshape(blocks, (*batch, self.copies * n)), last], axis=-1)

    def congruence(self, ns: Namespace, arrays: Sequence[Array | None], form: Array) -> Array | None:
        """``T form T^T`` of a symmetric `form`, T = [B c; 0 1], exactly symmetric; None where this is no such T.

        With form = [C m; m^T w] it is ``[B C B^T, B m; m^T B^T, w] + h s^T + s h^T`` for ``s = [c; 0]`` and
        ``h = [B m + c w / 2; w]``: beyond ``B C B^T`` it is O(n^2).
        """
        if self.covectors or self.copies != 1:
            return None
        matrix, translation = arrays
        if matrix is None and translation is None:
            return form
        corner, column = form[-1:, -1:], form[:-1, -1:]
        if matrix is not None:
            block = self._linear.congruence(ns, (matrix,), form[:-1, :-1])
            column = self._linear.apply(ns, (matrix,), column, -2)
            rows = ns.concat([block, column], axis=1), ns.concat([column.mT, corner], axis=1)
            form = ns.concat(rows, axis=0)
        if translation is None:
            return form
        moved = ns.reshape(translation, (-1, 1))
        half = ns.concat([column + moved * (corner / 2), corner], axis=0)
        product = half * ns.concat([moved, corner * 0], axis=0).mT
        return form + (product + product.mT)


SlotwiseChange: TypeAlias = BaseChange | HullChange


def _product(left: Array | None, right: Array | None) -> Array | None:
    if left is None or right is None:
        return right if left is None else left
    return left @ right


class Change(ABC):
    """A change of components, ready to apply in any namespace of its kind."""

    __slots__ = ("__weakref__", "_cast")

    def __init__(self) -> None:
        self._cast: WeakKeyDictionary[Namespace, list[Array | None]] = WeakKeyDictionary()

    @abstractmethod
    def __call__(self, ns: Namespace, components: Components) -> Components:
        """The components in the other frame."""

    def _cast_once(self, ns: Namespace, matrices: list[Array | None]) -> list[Array | None]:
        known = self._cast.get(ns)
        if known is None:
            known = [None if matrix is None else ns.cast(matrix) for matrix in matrices]
            self._cast[ns] = known
        return known


@final
class SlotChange(Change):
    """One linear change per slot, and for affine spaces a translation of the shape of the slots."""

    __slots__ = ("slots", "translation")

    def __init__(self, slots: tuple[SlotwiseChange, ...], translation: Array | None = None) -> None:
        super().__init__()
        self.slots, self.translation = slots, translation

    def __call__(self, ns: Namespace, components: Components) -> Components:
        *arrays, translation = self._cast_once(ns, [*(a for slot in self.slots for a in slot.arrays), self.translation])
        for axis, slot in zip(range(-len(self.slots), 0), self.slots, strict=True):
            count = len(slot.arrays)
            components = slot.apply(ns, arrays[:count], components, axis)
            arrays = arrays[count:]
        return components if translation is None else components + translation

    def congruence(self, ns: Namespace, form: Array) -> Array | None:
        """``T form T^T`` of a symmetric `form` (n, n) for the matrix T of the one slot, exactly symmetric.

        None where there is another number of slots, or no short way.
        """
        if len(self.slots) != 1 or self.translation is not None:
            return None
        (slot,) = self.slots
        return slot.congruence(ns, self._cast_once(ns, [*slot.arrays, None])[:-1], form)


@final
class ProductChange(Change):
    """One change per factor of a product."""

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[Change | None, ...]) -> None:
        super().__init__()
        self.parts = parts

    def __call__(self, ns: Namespace, components: Components) -> Components:
        return tuple(
            leaf if part is None else part(ns, leaf)
            for part, leaf in zip(self.parts, components, strict=True)
        )
