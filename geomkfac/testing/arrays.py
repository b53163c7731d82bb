"""Hypothesis strategies for kinds of scalars, arrays of small integers, and changes of basis.

Entries are small integers, which every kind holds exactly, so that a failure shrinks to something
that fits in a lesson.  Changes of basis shrink to the identity and are invertible by construction.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from geomkfac.arrays import GF, Array, Kind, Namespace, OrderedNamespace, floating, rational
from geomkfac.testing.hypothesis_extra import hypothesis_strategies

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

PRIME = 2**31 - 1
SHEARS = 3
"""A shear by 1 has condition number below 2.62, a scaling by 1 or 2 at most 2, so a product of three
shears, a scaling and a permutation less than 36."""


def kinds(*, exact: bool | None = None) -> SearchStrategy[Kind]:
    """A kind of scalar: GF(2³¹ - 1), Q or floating.

    Parameters
    ----------
    exact : True for exact kinds alone, False for floating alone
    """
    st = hypothesis_strategies()
    chosen: list[Kind] = [GF(PRIME), rational, floating]
    if exact is not None:
        chosen = [kind for kind in chosen if kind.is_exact is exact]
    strategy: SearchStrategy[Kind] = st.sampled_from(chosen)
    return strategy


def namespaces(kind: Kind) -> SearchStrategy[Namespace]:
    """A namespace of a kind: NumPy's float64 and float32 for floating, the field itself for exact kinds."""
    st = hypothesis_strategies()
    chosen = [kind.default_namespace]
    if kind is floating:
        chosen.append(floating.namespace_of(np.zeros((), dtype=np.float32)))
    strategy: SearchStrategy[Namespace] = st.sampled_from(chosen)
    return strategy


def integer_array(ns: Namespace, values: Any) -> Array:
    """An array of any namespace from integers."""
    entries = np.asarray(values, dtype=np.int64)
    return ns.cast_numpy(entries) if isinstance(ns, OrderedNamespace) else ns.asarray(entries)


def small_arrays(ns: Namespace, shape: tuple[int, ...], *, bound: int = 3) -> SearchStrategy[Array]:
    """Arrays of `shape` with integer entries from -`bound` to `bound`; they shrink to zero."""
    st = hypothesis_strategies()
    count = prod(shape)
    entries = st.lists(st.integers(-bound, bound), min_size=count, max_size=count)
    strategy: SearchStrategy[Array] = entries.map(
        lambda values: integer_array(ns, np.asarray(values, dtype=np.int64).reshape(shape))
    )
    return strategy


def changes_of_basis(
    dim: int, kind: Kind = floating, *, translated: bool = True
) -> SearchStrategy[tuple[Array, Array | None]]:
    """Pairs ``(B, c)`` for ``y_new = B y_old + c``, in the default namespace of the kind.

    B (dim, dim) is a product of shears, a scaling and a permutation, all by integers; its condition
    number stays below 100 in floating point.  c (dim,) has small integer entries; None where
    `translated` is False.
    """
    st = hypothesis_strategies()
    ns = kind.default_namespace
    scales = [1, -1, 2, 3] if kind.is_exact else [1, -1, 2]
    count = 2 * dim if kind.is_exact else SHEARS
    axes = st.integers(0, max(dim - 1, 0))
    shears = st.lists(st.tuples(axes, axes, st.sampled_from([1, -1])), max_size=count)
    diagonal = st.lists(st.sampled_from(scales), min_size=dim, max_size=dim)
    order = st.permutations(range(dim))
    matrix = st.tuples(shears, diagonal, order).map(lambda parts: integer_array(ns, _invertible(dim, *parts)))
    moved = small_arrays(ns, (dim,)) if translated else st.none()
    strategy: SearchStrategy[tuple[Array, Array | None]] = st.tuples(matrix, moved)
    return strategy


def _invertible(dim: int, shears: list[tuple[int, int, int]], diagonal: list[int], order: list[int]) -> Any:
    matrix = np.eye(dim, dtype=np.int64)[list(order)] * np.asarray(diagonal, dtype=np.int64)
    for row, column, factor in shears:
        if row != column:
            matrix[row] += factor * matrix[column]
    return matrix
