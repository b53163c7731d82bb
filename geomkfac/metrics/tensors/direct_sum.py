"""Direct sums of forms: the additive metric at a point, block diagonal in every product frame.

``(g_1 + ... + g_L)(u, v) = sum_i g_i(u_i, v_i)``.  The cross terms vanish because u_i and v_j meet
nothing, in any product frame; in a frame that is no product frame the matrix is not block diagonal.
Source: LG (3.7), D3.9.
"""

from __future__ import annotations

from typing import Any, final

from geomkfac.arrays.array import Array, Scalar
from geomkfac.errors import KindError, ShapeError, SpaceMismatchError
from geomkfac.metrics.tensors.dense import DenseTensor
from geomkfac.metrics.tensors.metric_tensor import MetricTensor, Norm
from geomkfac.operators import BlockDiagonal
from geomkfac.operators.operator import StructuredMatrix
from geomkfac.required import check_type, shown
from geomkfac.spaces import Euclidean, ProductVectorSpace, Subspace, Vector
from geomkfac.spaces.frames.change import map_components
from geomkfac.spaces.frames.frame import DenseFrame, Frame, derived_frame


@final
class DirectSumTensor(MetricTensor):
    """The direct sum of forms, on the direct sum of their spaces.

    Parameters
    ----------
    parts : metric tensors, one per factor, in order
    """

    __slots__ = ("namespace", "parts", "provenance", "space")

    def __init__(self, *parts: MetricTensor) -> None:
        if not parts:
            raise ShapeError("a direct sum needs at least one metric tensor.")
        for part in parts:
            check_type("a part of a direct sum", part, MetricTensor)
            if part.namespace is not parts[0].namespace:
                raise KindError(
                    f"the parts have different arrays: {parts[0].namespace.name} and {part.namespace.name}."
                )
        self.parts = parts
        self.space: ProductVectorSpace = ProductVectorSpace(*(part.space for part in parts))
        self.namespace = parts[0].namespace
        self.provenance = " + ".join(part.provenance for part in parts)

    def kronecker_factors(self) -> tuple[tuple[DenseTensor, DenseTensor], ...]:
        """The pairs (form on Hull(A)*, form on TZ), one per layer."""
        pairs: list[tuple[DenseTensor, DenseTensor]] = []
        for part in self.parts:
            factors = getattr(part, "kronecker_factors", None)
            if factors is None:
                raise SpaceMismatchError(f"a part is no tensor product and has no factors.\n  part: {part!r}")
            pairs.extend(factors())
        return tuple(pairs)

    def _part_frame(self, part: MetricTensor) -> Frame:
        frame: Frame = part.storage_frame  # type: ignore[attr-defined]
        return frame.structured

    @property
    def storage_frame(self) -> Frame:
        return derived_frame(self.space, tuple(self._part_frame(part) for part in self.parts))

    def coordinates(self, frame: Any) -> Any:
        """A BlockDiagonal; in a dense frame an array (dim, dim)."""
        own = self.space.own_frame(frame)
        if isinstance(own, DenseFrame):
            return self.dense().components_in(own)
        blocks = zip(self.parts, own.parts, strict=True)
        return BlockDiagonal(tuple(_block(part, part_frame) for part, part_frame in blocks))

    def dense(self) -> DenseTensor:
        """The same form as one matrix; for small dimensions."""
        frame = self.storage_frame
        return DenseTensor(self.space, frame, self.coordinates(frame).dense(), self.namespace, self.provenance)

    def _each(self, element: Vector, space: ProductVectorSpace, method: str, *arguments: Any) -> Vector:
        split = space.split(element)
        results = [
            getattr(part, method)(component, *(argument[index] for argument in arguments))
            for index, (part, component) in enumerate(zip(self.parts, split, strict=True))
        ]
        target = self.space.dual if space is self.space else self.space
        joined: Vector = target.join(*results)
        return joined

    def _flat(self, v: Vector) -> Vector:
        return self._each(v, self.space, "_flat")

    # -- degeneracy and solving: factor by factor ---------------------------------------------------
    @property
    def nullity(self) -> int:
        return sum(part.nullity for part in self.parts)

    @property
    def radical(self) -> Subspace:
        return DirectSumSubspace(self.space, tuple(part.radical for part in self.parts))

    @property
    def _decision(self) -> str:
        return next((part._decision for part in self.parts if part.nullity), self.parts[0]._decision)

    def _sharp(self, phi: Vector) -> Vector:
        return self._each(phi, self.space.dual, "_sharp")

    def _particular(self, phi: Vector) -> Vector:
        return self._each(phi, self.space.dual, "_particular")

    def _minimal(self, phi: Vector, norm: MetricTensor) -> Vector:
        if isinstance(norm, DirectSumTensor):
            return self._each(phi, self.space.dual, "_minimal", norm.parts)
        if not self.nullity:
            return self._sharp(phi)
        return self._projected(self._particular(phi), norm)

    # -- algebra ----------------------------------------------------------------------------------------
    def damped(self, g0: Norm, gamma: Scalar, kind: str = "exact") -> MetricTensor:
        other = self._as_tensor(g0)
        if not isinstance(other, DirectSumTensor):
            raise SpaceMismatchError(f"a direct sum is damped by a direct sum, not by {shown(other)}.")
        pairs = zip(self.parts, other.parts, strict=True)
        return DirectSumTensor(*(part.damped(second, gamma, kind) for part, second in pairs))

    def _scaled(self, factor: Array) -> MetricTensor:
        return DirectSumTensor(*(part._scaled(factor) for part in self.parts))

    def _plus(self, other: MetricTensor) -> MetricTensor:
        if isinstance(other, DirectSumTensor):
            return DirectSumTensor(*(x._plus(y) for x, y in zip(self.parts, other.parts, strict=True)))
        return MetricTensor._plus(self, other)

    def eigenvalues(self, relative_to: Norm) -> tuple[Array, ...]:
        """One ascending array per factor."""
        other = self._as_tensor(relative_to)
        if not isinstance(other, DirectSumTensor):
            raise SpaceMismatchError(
                f"eigenvalues of a direct sum are relative to a direct sum, not to {shown(other)}."
            )
        return tuple(x.eigenvalues(y) for x, y in zip(self.parts, other.parts, strict=True))

    def _euclidean_like(self, euclidean: Euclidean) -> MetricTensor:
        return DirectSumTensor(*(part._euclidean_like(euclidean) for part in self.parts))

    def _equals(self, other: MetricTensor) -> bool:
        if isinstance(other, DirectSumTensor):
            return all(x._equals(y) for x, y in zip(self.parts, other.parts, strict=True))
        return MetricTensor._equals(self, other)


def _block(part: MetricTensor, frame: Frame) -> StructuredMatrix:
    matrix = part.coordinates(frame)
    return matrix if isinstance(matrix, StructuredMatrix) else part.dense().operator(frame)


@final
class DirectSumSubspace(Subspace):
    """The direct sum of subspaces of the factors."""

    __slots__ = ("parts", "space")

    def __init__(self, space: ProductVectorSpace, parts: tuple[Subspace, ...]) -> None:
        self.space: ProductVectorSpace = space
        self.parts = parts

    @property
    def dim(self) -> int:
        return sum(part.dim for part in self.parts)

    def restriction(self, covector: Vector) -> tuple[Any, ...]:
        """One restriction per factor."""
        split = self.space.dual.split(covector)
        return tuple(part.restriction(component) for part, component in zip(self.parts, split, strict=True))

    def basis(self) -> Vector:
        vectors = [self.space.inject(part.basis(), index) for index, part in enumerate(self.parts) if part.dim]
        return _stacked(vectors) if vectors else self.space.inject(self.parts[0].basis(), 0)


def _stacked(vectors: list[Vector]) -> Vector:
    """Batches of vectors one after the other, in the frame of the first."""
    first = vectors[0]
    trees = [vector.components_in(first.storage_frame) for vector in vectors]
    joined = map_components(lambda *leaves: first.namespace.concat(list(leaves), axis=0), *trees)
    return first.with_components(joined)
