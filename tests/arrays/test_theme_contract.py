"""The field tier of the contract, over every kind of scalar.

All numbers are small integers, so that sums and products are exact in floating point too and
compare with `equal`.  Only solving rounds; its tolerance is Wilkinson's bound for elimination with
partial pivoting, n³ 2ⁿ⁻¹ epsilon relative to the matrix, times 2n for scaling by powers of two.
"""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geomkfac.arrays import DegreeField, Namespace, OrderedNamespace, kind_of, namespace_of
from geomkfac.errors import KindError, SingularMatrixError

INTEGERS = st.integers(-9, 9)


def matrices(*shape):
    size = int(np.prod(shape))
    return st.lists(INTEGERS, min_size=size, max_size=size).map(lambda x: np.array(x).reshape(shape))


def determinant(matrix):
    """By cofactors, in Python's integers."""
    matrix = [[int(x) for x in row] for row in matrix]
    if not matrix:
        return 1
    minors = ([row[:j] + row[j + 1 :] for row in matrix[1:]] for j in range(len(matrix)))
    return sum((-1) ** j * matrix[0][j] * determinant(minor) for j, minor in enumerate(minors))


def agree(ns: Namespace, x, y, rounding: float = 0.0) -> bool:
    """Equality over exact kinds; in floating point, differences of at most `rounding` epsilons."""
    if ns.epsilon == 0.0 or rounding == 0.0:
        return ns.equal(x, y)
    difference = np.abs(ns.to_numpy(x).astype(float) - ns.to_numpy(y).astype(float))
    return x.shape == y.shape and float(difference.max(initial=0.0)) <= rounding * ns.epsilon


def elimination(n: int) -> float:
    return 2 * n * n**3 * 2 ** (n - 1)


# -- arrays in and out ---------------------------------------------------------------------------
def test_an_array_knows_its_namespace(ns, make):
    x = make(ns, [[1, 2], [3, 4]])
    assert namespace_of(x, x) is ns
    assert ns.kind.namespace_of(x) is ns
    assert kind_of(x) is ns.kind
    assert namespace_of(ns.sum(x)) is ns


def test_only_exact_namespaces_have_epsilon_zero(ns):
    assert ns.kind.is_exact == (ns.epsilon == 0.0)


def test_the_door_lets_in_what_is_already_inside(ns, make):
    x = make(ns, [1, 2])
    assert ns.equal(ns.asarray(x), x)
    assert ns.equal(ns.cast(x), x)


def test_a_copy_is_equal_and_another_object(ns, make):
    x = make(ns, [[1, 2], [3, 4]])
    y = ns.copy(x)
    assert ns.equal(x, y)
    assert y is not x


def test_to_numpy_gives_the_numbers_back(ns, make):
    values = [[1, 2, 0], [3, 4, 5]]
    assert ns.to_numpy(make(ns, values)).tolist() == values


def test_pickling_and_copying_find_the_same_namespace(ns):
    if isinstance(ns.kind, DegreeField):
        pytest.skip("belongs to one run")
    assert pickle.loads(pickle.dumps(ns)) is ns
    assert pickle.loads(pickle.dumps(ns.kind)) is ns.kind
    assert copy.deepcopy(ns) is ns
    assert copy.deepcopy(ns.kind) is ns.kind


def test_default_namespaces_are_of_their_kind(ns):
    assert ns.kind.default_namespace.kind is ns.kind


# -- creation ------------------------------------------------------------------------------------
def test_zeros_ones_and_the_identity_matrix(ns, make):
    assert ns.equal(ns.zeros((2, 3)), make(ns, np.zeros((2, 3))))
    assert ns.equal(ns.ones((2, 3)), make(ns, np.ones((2, 3))))
    assert ns.equal(ns.eye(3), make(ns, np.eye(3)))
    assert tuple(ns.zeros((0, 2)).shape) == (0, 2)


def test_scalars_come_from_integers_and_fractions(ns, make):
    half = ns.scalar(Fraction(1, 2))
    assert half.ndim == 0
    assert ns.equal(half * 6, ns.scalar(3))
    assert ns.equal(ns.scalar(half), half)
    assert ns.equal(make(ns, [2, 4]) * half, make(ns, [1, 2]))


def test_a_scalar_has_no_axes(ns, make):
    with pytest.raises((KindError, ValueError), match=r"shape \(2,\)"):
        ns.scalar(make(ns, [1, 2]))


def test_random_entries_are_reproducible_and_of_the_namespace(ns):
    x, y = (ns.random(np.random.default_rng(3), (4, 5)) for _ in range(2))
    assert namespace_of(x) is ns
    assert tuple(x.shape) == (4, 5)
    assert ns.equal(x, y)
    assert not ns.is_zero(x[0, ...] - x[1, ...])


# -- arithmetic ----------------------------------------------------------------------------------
@given(a=matrices(2, 3), b=matrices(2, 3), c=matrices(3))
def test_arithmetic_is_that_of_integers(ns, make, a, b, c):
    x, y, z = make(ns, a), make(ns, b), make(ns, c)
    assert ns.equal(x + y, make(ns, a + b))
    assert ns.equal(x - y, make(ns, a - b))
    assert ns.equal(x * z, make(ns, a * c))
    assert ns.equal(-x, make(ns, -a))
    assert ns.equal(2 * x + 1, make(ns, 2 * a + 1))
    assert ns.equal(1 - x * 3, make(ns, 1 - 3 * a))


@given(a=matrices(2, 3), powers=st.lists(st.integers(0, 4), min_size=3, max_size=3))
def test_division_undoes_multiplication(ns, make, a, powers):
    divisor = make(ns, [2**k for k in powers])
    assert ns.equal(make(ns, a) * divisor / divisor, make(ns, a))
    assert ns.equal(make(ns, 4 * a) / 4, make(ns, a))
    assert ns.equal(1 / divisor * divisor, ns.ones((3,)))


# -- shape ---------------------------------------------------------------------------------------
def test_shapes_change_as_in_numpy(ns, make):
    a = np.arange(24).reshape(2, 3, 4)
    x = make(ns, a)
    assert ns.equal(ns.reshape(x, (6, 4)), make(ns, a.reshape(6, 4)))
    assert ns.equal(ns.permute(x, (2, 0, 1)), make(ns, a.transpose(2, 0, 1)))
    assert ns.equal(ns.broadcast_to(x[:, :1, :], (2, 3, 4)), make(ns, np.broadcast_to(a[:, :1], (2, 3, 4))))
    assert ns.equal(ns.stack([x, x], axis=1), make(ns, np.stack([a, a], axis=1)))
    assert ns.equal(ns.concat([x, x[:, 1:, :]], axis=1), make(ns, np.concatenate([a, a[:, 1:]], axis=1)))
    assert ns.equal(ns.take(x, [2, 0, 2], axis=1), make(ns, a[:, [2, 0, 2]]))
    assert ns.equal(ns.take(x, np.array([3, 1]), axis=-1), make(ns, a[..., [3, 1]]))
    assert ns.equal(x.mT, make(ns, a.mT))
    assert (tuple(x.shape), x.ndim) == ((2, 3, 4), 3)


@pytest.mark.parametrize(
    "index",
    [
        np.s_[1],
        np.s_[-1, 0, 2],
        np.s_[:, 1:],
        np.s_[..., 0],
        np.s_[0, ..., ::2],
        np.s_[None, :, 1, :],
        np.s_[..., None],
    ],
    ids=str,
)
def test_basic_indexing_is_numpys(ns, make, index):
    a = np.arange(24).reshape(2, 3, 4)
    # The array API standard has one index for every axis, or an ellipsis.
    parts = index if isinstance(index, tuple) else (index,)
    strict = parts if ... in parts else (*parts, ...)
    assert ns.equal(make(ns, a)[strict], make(ns, a[index]))


# -- sums and products ---------------------------------------------------------------------------
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (-2, -1)])
def test_sums_are_over_the_named_axes(ns, make, axis):
    a = np.arange(24).reshape(2, 3, 4)
    assert ns.equal(ns.sum(make(ns, a), axis=axis), make(ns, a.sum(axis=axis)))


def test_empty_sums_and_products_are_zero(ns):
    assert ns.is_zero(ns.sum(ns.zeros((0, 3)), axis=0))
    assert ns.equal(ns.matmul(ns.zeros((2, 0)), ns.zeros((0, 3))), ns.zeros((2, 3)))
    assert ns.equal(ns.matmul(ns.zeros((4, 2, 0)), ns.zeros((0, 3))), ns.zeros((4, 2, 3)))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((2, 3), (3, 4)),
        ((3,), (3, 4)),
        ((2, 3), (3,)),
        ((3,), (3,)),
        ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 4)),
        ((5, 1, 2, 3), (6, 3, 4)),
    ],
)
def test_matrix_products_are_batched_as_in_numpy(ns, make, left, right):
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 10, left), rng.integers(-9, 10, right)
    assert ns.equal(ns.matmul(make(ns, a), make(ns, b)), make(ns, a @ b))
    assert ns.equal(make(ns, a) @ make(ns, b), make(ns, a @ b))


@pytest.mark.parametrize("axis", [-1, -2, -3])
def test_apply_contracts_one_axis(ns, make, axis):
    rng = np.random.default_rng(1)
    matrix, x = rng.integers(-9, 10, (2, 3)), rng.integers(-9, 10, (3, 3, 3, 3))
    expected = np.moveaxis(np.tensordot(matrix, x, axes=(1, axis)), 0, axis)
    assert ns.equal(ns.apply(make(ns, matrix), make(ns, x), axis), make(ns, expected))


@pytest.mark.parametrize("axes", [0, 1, 2])
def test_pairing_sums_over_the_last_axes(ns, make, axes):
    rng = np.random.default_rng(2)
    x, y = rng.integers(-9, 10, (4, 2, 3)), rng.integers(-9, 10, (4, 2, 3))
    expected = (x * y).sum(axis=tuple(range(3 - axes, 3)))
    assert ns.equal(ns.pair(make(ns, x), make(ns, y), axes), make(ns, expected))


@given(a=matrices(2, 3), b=matrices(3, 2))
def test_kronecker_products_diagonals_and_traces(ns, make, a, b):
    assert ns.equal(ns.kron(make(ns, a), make(ns, b)), make(ns, np.kron(a, b)))
    square = np.stack([a @ b, b.T @ a.T])
    assert ns.equal(ns.diagonal(make(ns, square)), make(ns, np.diagonal(square, axis1=1, axis2=2)))
    assert ns.equal(ns.trace(make(ns, square)), make(ns, np.trace(square, axis1=1, axis2=2)))


@given(x=matrices(2, 5, 3), roots=st.lists(st.integers(0, 5), min_size=10, max_size=10))
def test_the_gram_matrix_is_a_weighted_sum_of_squares(ns, make, x, roots):
    weights = np.array(roots).reshape(2, 5) ** 2
    expected = (x * weights[..., None]).mT @ x
    gram = ns.gram(make(ns, x), make(ns, weights))
    assert ns.equal(gram, make(ns, expected))
    assert ns.equal(ns.gram(make(ns, x[0])), make(ns, x[0].T @ x[0]))


@given(x=matrices(5, 3), roots=st.lists(st.integers(0, 5), min_size=5, max_size=5))
def test_the_homogeneous_gram_matrix_is_that_of_the_rows_with_a_one_appended(ns, make, x, roots):
    weights = np.array(roots) ** 2
    rows = np.concatenate([x, np.ones((5, 1), dtype=x.dtype)], axis=1)
    expected = (rows * weights[:, None]).T @ rows
    assert ns.equal(ns.homogeneous_gram(make(ns, x)), make(ns, rows.T @ rows))
    assert ns.equal(ns.homogeneous_gram(make(ns, x), make(ns, weights)), make(ns, expected))


@pytest.mark.parametrize("layout", ["C", "F", "strided", "reversed", "one row", "batch"])
def test_the_gram_matrix_is_exactly_symmetric(ns, layout):
    x = ns.random(np.random.default_rng(4), (40, 6))
    arranged = {
        "C": lambda: x,
        "F": lambda: ns.copy(x.mT).mT,
        "strided": lambda: x[::2, 1::2],
        "reversed": lambda: x[::-1, :],
        "one row": lambda: x[:1, :],
        "batch": lambda: ns.permute(ns.reshape(x, (8, 5, 6)), (1, 0, 2)),
    }
    if layout == "reversed" and ns.name.startswith("torch"):
        pytest.skip("PyTorch has no negative steps")
    y = arranged[layout]()
    gram = ns.gram(y, ns.ones(tuple(y.shape[:-1])) / 3)
    assert ns.equal(gram, gram.mT)


# -- linear algebra ------------------------------------------------------------------------------
@given(a=matrices(3, 3), x=matrices(3, 2))
def test_solving_finds_what_was_multiplied(ns, make, a, x):
    assume(determinant(a) != 0)
    b = a @ x
    solution = ns.solve(make(ns, a), make(ns, b))
    largest = np.abs(ns.to_numpy(solution).astype(float)).max(initial=1.0) if not ns.kind.is_exact else 1.0
    assert agree(ns, make(ns, a) @ solution, make(ns, b), elimination(3) * np.abs(a).max() * largest)


@given(a=matrices(2, 3, 3))
def test_the_inverse_of_a_batch_multiplies_to_the_identity(ns, make, a):
    assume(determinant(a[0]) != 0 and determinant(a[1]) != 0)
    inverse = ns.inverse(make(ns, a))
    condition = max(np.linalg.cond(matrix) for matrix in a)
    identity = ns.broadcast_to(ns.eye(3), (2, 3, 3))
    # The computed inverse is off by its condition number; either residual by that once more.
    assert agree(ns, inverse @ make(ns, a), identity, elimination(3) * 3 * condition)
    assert agree(ns, make(ns, a) @ inverse, identity, elimination(3) * 3 * condition)


@given(a=matrices(3, 2), b=matrices(2, 3))
def test_a_singular_matrix_is_refused(ns, make, a, b):
    for attempt in (ns.inverse, lambda matrix: ns.solve(matrix, ns.eye(3))):
        with pytest.raises(SingularMatrixError, match="singular"):
            attempt(make(ns, a @ b))


def test_one_singular_matrix_of_a_batch_is_refused(ns, make):
    with pytest.raises(SingularMatrixError):
        ns.inverse(make(ns, [[[1, 0], [0, 1]], [[1, 2], [2, 4]]]))


@pytest.mark.parametrize("exponents", [(0, 80), (-60, 60)])
def test_the_unit_of_a_coordinate_makes_no_matrix_singular(ns, exponents):
    scales = [ns.scalar(Fraction(2) ** k) for k in exponents]
    a = ns.eye(2) * ns.stack(scales)
    assert ns.equal(ns.inverse(a) @ a, ns.eye(2))


def test_empty_systems_have_empty_solutions(ns):
    assert tuple(ns.inverse(ns.zeros((0, 0))).shape) == (0, 0)
    assert tuple(ns.solve(ns.eye(2), ns.zeros((2, 0))).shape) == (2, 0)
    assert ns.rank(ns.zeros((0, 3))) == 0
    assert ns.equal(ns.nullspace(ns.zeros((0, 3))), ns.eye(3))


@given(a=matrices(4, 2), b=matrices(2, 5))
def test_rank_and_nullspace_add_up_to_the_number_of_columns(ns, make, a, b):
    assume(determinant(a[:2]) != 0 and determinant(b[:, :2]) != 0)
    product = make(ns, a @ b)
    basis = ns.nullspace(product)
    assert ns.rank(product) == 2
    assert tuple(basis.shape) == (5, 3)
    assert ns.rank(basis) == 3
    # 4 + 5 reflections of vectors of length 5, each off by 6 · 5 units of epsilon / 2 (Higham, lemma 19.3).
    assert agree(ns, product @ basis, ns.zeros((4, 3)), 135 * np.linalg.norm(a @ b))


# -- comparison ----------------------------------------------------------------------------------
def test_equal_sees_every_entry_and_the_shape(ns, make):
    x = make(ns, [[1, 2], [3, 4]])
    assert ns.equal(x, make(ns, [[1, 2], [3, 4]]))
    assert not ns.equal(x, make(ns, [[1, 2], [3, 5]]))
    assert not ns.equal(x, x[:1, :])
    assert not ns.equal(ns.ones((2,)), ns.ones((2, 2)))


def test_is_zero_sees_every_entry(ns, make):
    assert ns.is_zero(make(ns, [[0, 0], [0, 0]]))
    assert not ns.is_zero(make(ns, [[0, 0], [0, 1]]))


def test_order_is_there_or_refused_by_name(ns):
    if isinstance(ns, OrderedNamespace):
        assert ns.ordered("whitening") is ns
    else:
        with pytest.raises(KindError, match="whitening needs an ordered kind"):
            ns.ordered("whitening")
