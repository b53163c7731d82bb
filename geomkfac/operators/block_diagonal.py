"""Block diagonal matrices, acting on tuples of arrays, one for each block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from operator import add
from typing import Any, cast, final

from geomkfac.arrays.array import Array, RandomSource, Scalar
from geomkfac.arrays.namespace import Namespace, OrderedNamespace
from geomkfac.errors import KindError, ShapeError
from geomkfac.operators.damping import Dampable
from geomkfac.operators.operator import Operand, StructuredMatrix
from geomkfac.operators.single_block import check_array
from geomkfac.required import listed


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class BlockDiagonal(StructuredMatrix, Dampable):
    """The block diagonal matrix of `blocks`: on a tuple (X_1, ..., X_L) it is (M_1 X_1, ..., M_L X_L).

    Parameters
    ----------
    blocks : structured matrices of one namespace, at least one; a network's layers in order

    Notes
    -----
    ``vec`` of a tuple is the vecs of its arrays, one after the other.

    Raises
    ------
    ShapeError
        where there is no block.
    KindError
        where a block is no structured matrix, or of another namespace.
    """

    blocks: tuple[StructuredMatrix, ...]

    def __post_init__(self) -> None:
        blocks = tuple(listed("the blocks", self.blocks))
        if not blocks:
            raise ShapeError(
                "a block diagonal matrix needs a block.\n  required: at least one structured matrix\n"
                "  came    : none\nPass one matrix for each layer."
            )
        for block in blocks:
            if not isinstance(block, StructuredMatrix):
                raise KindError(
                    "the blocks must be structured matrices.\n"
                    "  required: KroneckerProduct, DenseMatrix, ...\n"
                    f"  came    : {type(block).__name__}\nWrap an array as DenseMatrix(array, acts_on=...)."
                )
            if block.namespace is not blocks[0].namespace:
                raise KindError(
                    "the blocks must share one namespace.\n"
                    f"  first block  : {blocks[0].namespace.name}\n  another block: {block.namespace.name}\n"
                    "Convert one of them on purpose first."
                )
        object.__setattr__(self, "blocks", blocks)

    def __repr__(self) -> str:
        return f"BlockDiagonal({', '.join(map(repr, self.blocks))})"

    @property
    def namespace(self) -> Namespace:
        return self.blocks[0].namespace

    @property
    def domain_shape(self) -> tuple[tuple[Any, ...], ...]:
        return tuple(block.domain_shape for block in self.blocks)

    @property
    def size(self) -> int:
        return sum(block.size for block in self.blocks)

    # -- operands -------------------------------------------------------------------------------
    def vec(self, x: Operand) -> Array:
        self._check_length(x, "vec")
        return self.namespace.concat([b.vec(y) for b, y in zip(self.blocks, x, strict=True)], axis=-1)

    def unvec(self, v: Array) -> tuple[Operand, ...]:
        check_array(self.namespace, v, (self.size,), "unvec")
        parts, start = [], 0
        for block in self.blocks:
            parts.append(block.unvec(v[..., start : start + block.size]))
            start += block.size
        return tuple(parts)

    def _check_length(self, x: Operand, purpose: str) -> None:
        if not isinstance(x, Sequence) or len(x) != len(self.blocks):
            came = f"{len(x)} of them" if isinstance(x, Sequence) else type(x).__name__
            raise ShapeError(
                f"{purpose} needs one array for each block.\n"
                f"  required: a tuple of {len(self.blocks)} arrays, of shapes (*batch, *s) for s in "
                f"{list(self.domain_shape)}\n  came    : {came}\n"
                f"Pass a tuple (X_1, ..., X_{len(self.blocks)})."
            )

    def _check_operand(self, x: Operand, purpose: str) -> None:
        self._check_length(x, purpose)
        for i, (block, y) in enumerate(zip(self.blocks, x, strict=True)):
            block._check_operand(y, f"{purpose} (block {i})")

    def _pair(self, x: Operand, y: Operand) -> Array:
        return reduce(add, (b._pair(*pair) for b, *pair in zip(self.blocks, x, y, strict=True)))

    def _noise(self, rng: RandomSource, batch: tuple[int, ...]) -> tuple[Operand, ...]:
        return tuple(block._noise(rng, batch) for block in self.blocks)

    # -- block by block -------------------------------------------------------------------------
    @property
    def transpose(self) -> BlockDiagonal:
        return BlockDiagonal(tuple(block.transpose for block in self.blocks))

    def inverse(self) -> BlockDiagonal:
        return BlockDiagonal(tuple(block.inverse() for block in self.blocks))

    def _power(self, exponent: Fraction) -> BlockDiagonal:
        return BlockDiagonal(tuple(block._power(exponent) for block in self.blocks))

    def damped_by(
        self, other: StructuredMatrix, gamma: Scalar, kind: str = "exact", *, pi: Scalar | None = None
    ) -> BlockDiagonal:
        self._check_comparable(other, "damped_by")
        # Equal domain shapes: a tuple of shapes belongs to block diagonal matrices alone.
        references = cast(BlockDiagonal, other).blocks
        pairs = zip(self._dampable_blocks(), references, strict=True)
        return BlockDiagonal(tuple(block.damped_by(by, gamma, kind, pi=pi) for block, by in pairs))

    def _identity(self) -> BlockDiagonal:
        return BlockDiagonal(tuple(block._identity() for block in self._dampable_blocks()))

    def _dampable_blocks(self) -> list[Dampable]:
        blocks: list[Dampable] = [block for block in self.blocks if isinstance(block, Dampable)]
        if len(blocks) < len(self.blocks):
            raise KindError(
                "every block must be one that can be damped.\n"
                "  required: KroneckerProduct, DenseMatrix or BlockDiagonal\n"
                f"  came    : {[type(block).__name__ for block in self.blocks]}\n"
                "Damp a matrix once, with the sum of the strengths."
            )
        return blocks

    def trace(self) -> Scalar:
        return reduce(add, (block.trace() for block in self.blocks))

    def rank(self) -> int:
        return sum(block.rank() for block in self.blocks)

    def dense(self) -> Array:
        namespace, rows, before = self.namespace, [], 0
        for block in self.blocks:
            after = self.size - before - block.size
            zeros = namespace.zeros((block.size, before)), namespace.zeros((block.size, after))
            rows.append(namespace.concat([zeros[0], block.dense(), zeros[1]], axis=1))
            before += block.size
        return namespace.concat(rows, axis=0)

    def _apply(self, x: Operand) -> tuple[Operand, ...]:
        return tuple(block._apply(y) for block, y in zip(self.blocks, x, strict=True))

    def _solve(self, x: Operand) -> tuple[Operand, ...]:
        return tuple(block._solve(y) for block, y in zip(self.blocks, x, strict=True))

    def _apply_root(self, z: Operand, namespace: OrderedNamespace) -> tuple[Operand, ...]:
        return tuple(block._apply_root(y, namespace) for block, y in zip(self.blocks, z, strict=True))

    def _logdet(self, namespace: OrderedNamespace) -> Scalar:
        return reduce(add, (block._logdet(namespace) for block in self.blocks))

    def _frobenius_norm(self, namespace: OrderedNamespace) -> float:
        return math.hypot(*(block._frobenius_norm(namespace) for block in self.blocks))

    def _singular_value_range(self, namespace: OrderedNamespace) -> tuple[float, float]:
        ranges = [block._singular_value_range(namespace) for block in self.blocks]
        return max(largest for largest, _ in ranges), min(smallest for _, smallest in ranges)

    # -- comparison: domain shapes agree, so the other one is block diagonal too --------------------
    def _with_other(self, other: StructuredMatrix) -> list[tuple[StructuredMatrix, StructuredMatrix]]:
        return list(zip(self.blocks, cast(BlockDiagonal, other).blocks, strict=True))

    def _inner(self, other: StructuredMatrix) -> Scalar:
        return reduce(add, (mine._inner(theirs) for mine, theirs in self._with_other(other)))

    def _equals(self, other: StructuredMatrix) -> bool:
        return all(mine._equals(theirs) for mine, theirs in self._with_other(other))

    def _distance(self, other: StructuredMatrix, namespace: OrderedNamespace) -> float:
        return math.hypot(*(mine._distance(theirs, namespace) for mine, theirs in self._with_other(other)))
