"""The radical of a tensor product of forms, ``ker h (x) V + U* (x) ker k``, kept as two small kernels."""

from __future__ import annotations

from typing import final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.spaces import Hom, Subspace, Vector
from geomkfac.spaces.frames.frame import Frame, derived_frame


@final
class KroneckerRadical(Subspace):
    """The linear maps U -> V that are sums of ``l (x) v`` with l in ker h, and ``l (x) v`` with v in ker k.

    Attributes
    ----------
    space : Hom(U, V)
    domain_kernel : ker h, in U*; for a layer the affine functions that vanish on all data
    codomain_kernel : ker k, in V
    """

    __slots__ = ("codomain_kernel", "domain_kernel", "space")

    def __init__(self, space: Hom, domain_kernel: Subspace, codomain_kernel: Subspace) -> None:
        self.space: Hom = space
        self.domain_kernel, self.codomain_kernel = domain_kernel, codomain_kernel

    @property
    def dim(self) -> int:
        n, m = self.space.domain.dim, self.space.codomain.dim
        k, j = self.domain_kernel.dim, self.codomain_kernel.dim
        return k * m + n * j - k * j

    def restriction(self, covector: Vector) -> tuple[Array, Array]:
        """The covector D of Hom(U, V), (m, n), on both kernels: ``D l`` (m, k) and ``v^T D`` (j, n)."""
        columns, rows, frame = self._kernels()
        ns = covector.namespace
        components = covector.components_in(frame.dual)
        return ns.matmul(components, columns), ns.matmul(rows.mT, components)

    def _kernels(self) -> tuple[Array, Array, Frame]:
        left, right = self.domain_kernel.basis(), self.codomain_kernel.basis()
        frames = [v.storage_frame.structured for v in (left, right)]
        frame = derived_frame(self.space, (frames[0].dual, frames[1]))
        ns = left.namespace
        columns = self.space.domain.dual.flatten(ns, left.components_in(frames[0])).mT
        rows = self.space.codomain.flatten(ns, right.components_in(frames[1])).mT
        return columns, rows, frame

    def basis(self) -> Vector:
        """A basis, materialised: batch shape (dim,)."""
        columns, rows, frame = self._kernels()
        ns = self.domain_kernel.basis().namespace
        n, m = self.space.domain.dim, self.space.codomain.dim
        first = _outer(columns.mT, ns.eye(m))
        second = _outer(_complement(ns, columns).mT, rows.mT)
        components = ns.concat([ns.reshape(first, (-1, m, n)), ns.reshape(second, (-1, m, n))], axis=0)
        return self.space.from_components(frame, components, ns)


def _complement(ns: Namespace, columns: Array) -> Array:
    """Columns that complete independent `columns` (n, k) to a basis; any will do."""
    n = columns.shape[0]
    if not ns.kind.is_exact:
        ordered = ns.ordered("a complement")
        directions = ordered.qr(columns)[0] if columns.shape[1] else columns
        return ordered.eigh(directions @ directions.mT)[1][:, : n - columns.shape[1]]
    found, rank = columns, columns.shape[1]
    for index in range(n):
        wider = ns.concat([found, ns.eye(n)[:, index : index + 1]], axis=1)
        if ns.rank(wider) > rank:
            found, rank = wider, rank + 1
    return found[:, columns.shape[1] :]


def _outer(functionals: Array, vectors: Array) -> Array:
    """All ``v l^T`` for rows l (k, n) and rows v (j, m): shape (k, j, m, n)."""
    return vectors[None, :, :, None] * functionals[:, None, None, :]
