"""Changes of coordinates take short ways where they have some: the same numbers as a product with the matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, Kind, floating, namespace_of, rational
from geomkfac.spaces.frames.change import BaseChange, HullChange, SlotChange
from geomkfac.spaces.frames.monomial import monomial

KINDS = {"GF(p)": GF(2**31 - 1), "Q": rational}
SEEDS = st.integers(0, 2**32 - 1)


def whole(change: BaseChange, ns: Any) -> Any:
    """The matrix of ``a' = B a + c`` on the hull, (n + 1, n + 1)."""
    n = change.dim
    matrix = ns.eye(n) if change.matrix is None else change.matrix
    moved = ns.zeros((n, 1)) if change.translation is None else ns.reshape(change.translation, (n, 1))
    top = ns.concat([matrix, moved], axis=1)
    return ns.concat([top, ns.eye(n + 1)[-1:, :]], axis=0)


def drawn(kind: Kind, n: int, has_matrix: bool, has_translation: bool, seed: int) -> tuple[BaseChange, Any, Any]:
    ns, rng = kind.default_namespace, np.random.default_rng(seed)
    matrix = ns.random(rng, (n, n)) if has_matrix else None
    moved = ns.random(rng, (n,)) if has_translation else None
    x = ns.random(rng, (n + 1, n + 1))
    return BaseChange(kind, n, matrix, None, moved), x + x.mT, ns


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@given(n=st.integers(0, 4), has_matrix=st.booleans(), has_translation=st.booleans(), seed=SEEDS)
def test_a_form_on_the_dual_of_a_hull_moves_by_the_bordered_matrix(
    kind: Kind, n: int, has_matrix: bool, has_translation: bool, seed: int
) -> None:
    change, form, ns = drawn(kind, n, has_matrix, has_translation, seed)
    moved = SlotChange((HullChange(1, change),)).congruence(ns, form)
    T = whole(change, ns)
    assert ns.equal(moved, T @ form @ T.mT)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_the_translation_is_felt(kind: Kind) -> None:
    change, form, ns = drawn(kind, 3, True, True, 0)
    without = BaseChange(kind, 3, change.matrix, None, None)
    moved, wrong = (HullChange(1, one).congruence(ns, HullChange(1, one).arrays, form) for one in (change, without))
    assert not ns.equal(moved, wrong)


def test_several_copies_and_covectors_have_no_congruence_here() -> None:
    change, form, ns = drawn(floating, 2, True, True, 0)
    for hull in (HullChange(2, change), HullChange(1, BaseChange(floating, 2, None, None, None), covectors=True)):
        assert SlotChange((hull,)).congruence(ns, form) is None
    assert SlotChange((change, change)).congruence(ns, form) is None


def dyadic(n: int, permuted: bool, seed: int) -> Any:
    """A matrix with one entry in each row and column, a signed power of two."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(n) if permuted else np.arange(n)
    return (np.eye(n) * rng.choice([-2.0, 0.25, 1.0, 8.0], n))[rows]


@given(n=st.integers(1, 6), permuted=st.booleans(), axis=st.sampled_from([-1, -2, -3]), seed=SEEDS)
def test_matrices_that_pick_and_scale_act_as_their_products_bit_for_bit(
    n: int, permuted: bool, axis: int, seed: int
) -> None:
    matrix = dyadic(n, permuted, seed)
    found = monomial(matrix)
    assert found is not None
    ns, rng = namespace_of(matrix), np.random.default_rng(seed + 1)
    shape = [2, 3, 4]
    shape[axis] = n
    x = rng.standard_normal(shape)
    change = BaseChange(floating, n, matrix, None, None)
    # Powers of two round nothing, so that products with zeros and sums of them are exact.
    assert np.array_equal(change.apply(ns, change.arrays, x, axis), ns.apply(matrix, x, axis))
    form = rng.standard_normal((n, n))
    form = form + form.T
    moved = change.congruence(ns, change.arrays, form)
    assert np.array_equal(moved, matrix @ form @ matrix.T)
    assert np.array_equal(moved, moved.T)


@pytest.mark.parametrize(
    "matrix",
    [
        [[1.0, 1.0], [0.0, 1.0]],
        [[0.0, 0.0], [1.0, 2.0]],
        [[1.0, 0.0], [1.0, 0.0]],
        [[1.0, 0.0], [0.0, 0.0]],
    ],
)
def test_other_matrices_are_products(matrix: list[list[float]]) -> None:
    assert monomial(np.asarray(matrix)) is None


def test_a_form_stays_exactly_symmetric_where_scales_round() -> None:
    rng = np.random.default_rng(0)
    form = rng.standard_normal((40, 40))
    form = form + form.T
    change = BaseChange(floating, 40, np.diag(rng.uniform(1, 3, 40))[rng.permutation(40)], None, None)
    moved = change.congruence(namespace_of(form), change.arrays, form)
    assert np.array_equal(moved, moved.T)
    naive = change.matrix @ form @ change.matrix.T
    assert not np.array_equal(naive, naive.T)


@pytest.mark.parametrize("rank", [60, 500])
@pytest.mark.parametrize("shape", [(250, 250), (193, 250), (250, 193), (40, 40)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_congruence_of_numpy_is_symmetric_and_right_for_definite_and_semidefinite_forms(
    dtype: Any, shape: tuple[int, int], rank: int
) -> None:
    rng = np.random.default_rng(rank)
    x, matrix = rng.standard_normal((rank, shape[1])), rng.standard_normal(shape)
    form, double = (x.T @ x / rank).astype(dtype), matrix.astype(dtype).astype(float)
    found = namespace_of(form).congruence(matrix.astype(dtype), form)
    assert found.dtype == dtype
    assert np.array_equal(found, found.T)
    expected = double @ form.astype(float) @ double.T
    # Each entry is a sum of n^2 products, and rounds by at most n epsilon twice (thrice through a factor, whose
    # products d_i d_j, d the roots of the diagonal, bound the entries of the form).
    lengths = np.abs(double) @ np.sqrt(np.diag(form.astype(float)))
    bound = 4 * shape[1] * np.finfo(dtype).eps * np.outer(lengths, lengths)
    assert np.all(np.abs(found - expected) <= bound)
    assert not np.all(np.abs(found - 1.1 * expected) <= bound)
