"""Subspaces: what a degenerate metric cannot see, and the cosets in which its solutions lie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.errors import SpaceMismatchError
from geomkfac.required import check_type, shown
from geomkfac.spaces.element import Vector
from geomkfac.spaces.frames.frame import DenseFrame
from geomkfac.spaces.vector import LinearSpace


class Subspace(ABC):
    """A linear subspace of a vector space."""

    __slots__ = ("__weakref__",)

    space: LinearSpace

    @property
    @abstractmethod
    def dim(self) -> int:
        """The dimension of the subspace."""

    @abstractmethod
    def basis(self) -> Vector:
        """A basis, as a batch of `dim` vectors."""

    @abstractmethod
    def restriction(self, covector: Vector) -> Any:
        """The values of a covector on spanning vectors: all zero just where it annihilates the subspace."""

    def __repr__(self) -> str:
        return f"{type(self).__name__} of dimension {self.dim} in {self.space!r}"


@final
class Span(Subspace):
    """The span of linearly independent vectors, given as one batch of shape (k,)."""

    __slots__ = ("_vectors", "space")

    def __init__(self, vectors: Vector) -> None:
        if not isinstance(vectors, Vector) or len(vectors.batch_shape) != 1:
            raise SpaceMismatchError(f"a span is of one batch of vectors, of shape (k,), not {shown(vectors)}.")
        self.space: LinearSpace = vectors.space  # type: ignore[assignment]
        self._vectors = vectors

    @property
    def dim(self) -> int:
        return self._vectors.batch_shape[0]

    def basis(self) -> Vector:
        return self._vectors

    def restriction(self, covector: Vector) -> Array:
        """``phi(r_k)`` for every basis vector, shape (*batch, k)."""
        return self._vectors.space._call(self._vectors, _with_axis(covector))

    def columns(self, frame: Any) -> Array:
        """The basis as columns (dim of the space, dim) of flattened coordinates in `frame`."""
        ns = self._vectors.namespace
        own = self.space.own_frame(frame)
        components = self._vectors.components_in(own)
        flat = components if isinstance(own, DenseFrame) else self.space.flatten(ns, components)
        return flat.mT


def _with_axis(covector: Vector) -> Vector:
    return covector[..., None] if covector.batch_shape else covector


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AffineSubspace:
    """A coset ``point + direction`` of vectors: all solutions v of ``flat(v) = phi``.

    Attributes
    ----------
    point : one of them; which one is an accident of the computation and means nothing
    direction : the subspace by which they differ, the radical of the metric
    """

    point: Vector
    direction: Subspace

    def __post_init__(self) -> None:
        check_type("a member of a coset", self.point, Vector)
        check_type("the direction of a coset", self.direction, Subspace)

    @property
    def dim(self) -> int:
        """The dimension."""
        return self.direction.dim

    def __repr__(self) -> str:
        return f"AffineSubspace of dimension {self.dim} in {self.point.space!r}"
