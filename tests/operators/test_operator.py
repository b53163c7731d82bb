"""Every law, over all structured matrices that claim it, against dense oracles."""

from __future__ import annotations

import copy
import math
import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from geomkfac.errors import InexactEqualityError, KindError, ShapeError, ValuesError


def test_the_dense_matrix_is_the_oracle(case: Any) -> None:
    assert case.close(case.matrix.dense(), case.oracle, case.condition)


def test_shape_is_that_of_the_dense_matrix(case: Any) -> None:
    assert case.matrix.shape == tuple(case.oracle.shape) == (case.matrix.size, case.matrix.size)


@pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
def test_apply_is_the_oracle_on_stacked_columns(case: Any, batch: tuple[int, ...]) -> None:
    x = case.operand(0, batch)
    expected = case.namespace.apply(case.oracle, case.matrix.vec(x), -1)
    assert case.close(case.matrix.vec(case.matrix.apply(x)), expected, case.condition)


@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_unvec_undoes_vec(case: Any, batch: tuple[int, ...]) -> None:
    v = case.namespace.random(np.random.default_rng(1), (*batch, case.matrix.size))
    assert case.namespace.equal(case.matrix.vec(case.matrix.unvec(v)), v)


@pytest.mark.parametrize("batch", [(), (4,), (2, 3)])
def test_solve_undoes_apply(invertible: Any, batch: tuple[int, ...]) -> None:
    matrix, x = invertible.matrix, invertible.operand(2, batch)
    for _ in range(2):  # the second time with kept factorisations
        assert invertible.close(
            matrix.vec(matrix.solve(matrix.apply(x))), matrix.vec(x), invertible.condition
        )


def test_the_quadratic_form_is_that_of_the_oracle(case: Any) -> None:
    x = case.operand(3, (5,))
    v = case.matrix.vec(x)
    expected = case.namespace.pair(v, case.namespace.apply(case.oracle, v, -1), 1)
    # Terms may cancel: the sum is accurate beside the size of its terms, |v|² |M|.
    difference = case.matrix.quadratic_form(x) - expected
    if case.namespace.kind.is_exact:
        assert case.namespace.is_zero(difference)
    else:
        vectors, oracle = case.namespace.to_numpy(v), case.namespace.to_numpy(case.oracle)
        size = np.linalg.norm(vectors) ** 2 * np.linalg.norm(oracle)
        bound = 8 * case.matrix.size * case.namespace.epsilon * case.condition
        assert np.max(np.abs(case.namespace.to_numpy(difference))) <= bound * size


def test_the_transpose_is_that_of_the_oracle(case: Any) -> None:
    assert case.close(case.matrix.transpose.dense(), case.oracle.mT, case.condition)


def test_the_inverse_is_that_of_the_oracle(invertible: Any) -> None:
    product = invertible.namespace.matmul(invertible.matrix.inverse().dense(), invertible.oracle)
    assert invertible.close(product, invertible.namespace.eye(invertible.matrix.size), invertible.condition)


@pytest.mark.parametrize("exponent", [-2, -1, 0, 1, 2, 3, 2.0, Fraction(-4, 2)])
def test_integer_powers_are_those_of_the_oracle(integer_powers: Any, exponent: Any) -> None:
    case, namespace = integer_powers, integer_powers.namespace
    expected = namespace.eye(case.matrix.size)
    base = namespace.inverse(case.oracle) if exponent < 0 else case.oracle
    for _ in range(abs(int(exponent))):
        expected = namespace.matmul(expected, base)
    condition = case.condition ** max(abs(int(exponent)), 1)
    assert case.close(case.matrix.power(exponent).dense(), expected, condition)


@pytest.mark.parametrize("exponent", [-1, 1])
def test_the_powers_one_and_minus_one_always_have_structure(invertible: Any, exponent: int) -> None:
    expected = invertible.oracle if exponent == 1 else invertible.namespace.inverse(invertible.oracle)
    assert invertible.close(invertible.matrix.power(exponent).dense(), expected, invertible.condition)


@pytest.mark.parametrize(
    ("exponent", "times"), [(Fraction(1, 2), 2), (0.25, 4), (Fraction(1, 3), 3), (Fraction(3, 2), 2)]
)
def test_a_fractional_power_multiplied_with_itself_is_the_integer_power(
    roots: Any, exponent: Any, times: int
) -> None:
    root = roots.matrix.power(exponent).dense()
    product, expected = root, roots.oracle
    for _ in range(times - 1):
        product = roots.namespace.matmul(product, root)
    if exponent > 1:
        expected = roots.namespace.matmul(expected, roots.namespace.matmul(roots.oracle, roots.oracle))
    assert roots.close(product, expected, roots.condition)
    assert roots.close(root, root.mT)


def test_the_inverse_root_whitens(roots: Any) -> None:
    root = roots.matrix.power(Fraction(-1, 2)).dense()
    white = roots.namespace.matmul(roots.namespace.matmul(root, roots.oracle), root)
    assert roots.close(white, roots.namespace.eye(roots.matrix.size), roots.condition)


def test_the_trace_is_that_of_the_oracle(case: Any) -> None:
    assert case.close(case.matrix.trace(), case.namespace.trace(case.oracle), case.condition)


def test_the_rank_is_that_of_the_oracle(case: Any) -> None:
    assert case.matrix.rank() == case.namespace.rank(case.oracle)


def test_logdet_is_that_of_the_oracle(positive: Any) -> None:
    sign, expected = np.linalg.slogdet(positive.namespace.to_numpy(positive.oracle).astype(float))
    # A relative error δ of M moves log det M by up to N condition δ.
    bound = 8 * positive.matrix.size**2 * positive.namespace.epsilon * positive.condition
    assert sign == 1
    assert abs(float(positive.matrix.logdet()) - expected) <= bound


def test_the_frobenius_norm_is_that_of_the_oracle(floating: Any) -> None:
    expected = np.linalg.norm(floating.namespace.to_numpy(floating.oracle).astype(float))
    bound = 8 * floating.matrix.size * floating.namespace.epsilon * floating.condition
    assert abs(floating.matrix.frobenius_norm() - expected) <= bound * expected


def test_the_inner_product_with_the_inverse_or_itself_is_that_of_the_oracle(case: Any) -> None:
    namespace = case.namespace
    assert case.close(
        case.matrix.inner(case.matrix), namespace.pair(case.oracle, case.oracle, 2), case.condition**2
    )
    if "positive" in case.claims:
        # Positive terms: <M, M⁻¹> = N, without cancellation.
        size = namespace.scalar(case.matrix.size)
        assert case.close(case.matrix.inner(case.matrix.inverse()), size, case.condition**2)


def test_the_condition_number_is_that_of_the_oracle(spectral: Any) -> None:
    case = spectral
    if "invertible" not in case.claims:
        assert case.matrix.condition_number() >= 1 / (case.matrix.size * case.namespace.epsilon)
        return
    # The smallest singular value is known to epsilon times the largest.
    bound = 8 * case.matrix.size * case.namespace.epsilon * case.condition**2
    assert abs(case.matrix.condition_number() - case.condition) <= bound


def test_the_covariance_of_a_sample_is_the_matrix(semidefinite: Any) -> None:
    """Exactly: the map that makes samples of white noise, applied to an identity, is a square root."""
    case = semidefinite
    basis = case.matrix.unvec(case.namespace.eye(case.matrix.size))
    rows = case.matrix.vec(case.matrix.apply_root(basis))  # row i is R e_i
    condition = case.condition if "invertible" in case.claims else 1.0
    assert case.close(case.namespace.matmul(rows.mT, rows), case.oracle, condition)


def test_a_sample_is_the_root_of_white_noise(semidefinite: Any) -> None:
    case = semidefinite
    sample = case.matrix.vec(case.matrix.sample(np.random.default_rng(5), (7,)))
    assert tuple(sample.shape) == (7, case.matrix.size)
    again = case.matrix.vec(case.matrix.sample(np.random.default_rng(5), (7,)))
    assert case.namespace.equal(sample, again)
    assert tuple(case.matrix.vec(case.matrix.sample(np.random.default_rng(5))).shape) == (case.matrix.size,)


def test_a_matrix_equals_itself_and_not_its_square(exact: Any) -> None:
    squared = exact.matrix.power(2)
    assert exact.matrix.equals(exact.matrix)
    assert exact.matrix.is_close(exact.matrix)
    assert not exact.matrix.equals(squared)
    assert not exact.matrix.is_close(squared)


def test_a_matrix_is_close_to_itself_but_not_to_its_inverse(floating: Any) -> None:
    matrix = floating.matrix
    assert matrix.is_close(matrix, relative_tolerance=8 * matrix.size * floating.namespace.epsilon)
    if "invertible" in floating.claims:
        assert not matrix.is_close(matrix.inverse())


def test_equals_is_refused_in_floating_point(floating: Any) -> None:
    with pytest.raises(InexactEqualityError, match="is_close"):
        floating.matrix.equals(floating.matrix)


def test_the_equality_sign_is_refused_and_matrices_are_unhashable(case: Any) -> None:
    with pytest.raises(InexactEqualityError, match="equals"):
        _ = case.matrix == case.matrix
    with pytest.raises(InexactEqualityError, match="equals"):
        _ = case.matrix != case.matrix
    with pytest.raises(TypeError, match="unhashable"):
        hash(case.matrix)


@pytest.mark.parametrize(
    "ask",
    [
        lambda m: m.logdet(),
        lambda m: m.frobenius_norm(),
        lambda m: m.condition_number(),
        lambda m: m.sample(np.random.default_rng(0)),
        lambda m: m.apply_root(m.unvec(m.namespace.zeros((m.size,)))),
        lambda m: m.power(Fraction(1, 2)),
        lambda m: m.as_linear_operator(),
    ],
)
def test_what_needs_order_is_refused_over_a_finite_field(exact: Any, ask: Any) -> None:
    with pytest.raises(KindError, match="float"):
        ask(exact.matrix)


def test_an_operand_of_the_wrong_shape_is_refused(case: Any) -> None:
    wrong = case.namespace.zeros((case.matrix.size + 1,))
    for name in ("apply", "solve", "quadratic_form", "vec", "unvec"):
        with pytest.raises(ShapeError, match=r"required: .*\n  came"):
            getattr(case.matrix, name)(wrong)


def test_an_operand_of_another_namespace_is_refused(case: Any) -> None:
    dtype = np.float32 if "float64" in case.namespace.name else np.float64
    other = np.zeros((case.matrix.size,), dtype=dtype)
    with pytest.raises(KindError):
        case.matrix.unvec(other)


def test_exponents_that_are_no_finite_numbers_are_refused(case: Any) -> None:
    for wrong in ("2", True, None):
        with pytest.raises(KindError, match="exponent"):
            case.matrix.power(wrong)
    for wrong in (math.nan, math.inf):
        with pytest.raises(ValuesError, match="exponent"):
            case.matrix.power(wrong)


def test_a_matrix_survives_pickling_and_copying(case: Any) -> None:
    case.matrix.trace()
    if "invertible" in case.claims:
        case.matrix.solve(case.operand(0))
    for again in (copy.copy(case.matrix), copy.deepcopy(case.matrix)):
        assert case.namespace.equal(again.dense(), case.matrix.dense())
    if "strict" not in case.namespace.name:
        restored = pickle.loads(pickle.dumps(case.matrix))
        assert restored.namespace is case.namespace
        assert case.namespace.equal(restored.dense(), case.matrix.dense())


def test_a_shown_matrix_hides_its_numbers(case: Any) -> None:
    assert case.namespace.name in repr(case.matrix)
    assert "[" not in repr(case.matrix)


def test_matrices_that_cannot_be_compared_are_refused(kronecker: Any, namespace: Any) -> None:
    matrix = kronecker(namespace, [[2]], [[1, 0], [0, 1]])
    with pytest.raises(ShapeError, match=r"\(2, 1\)\n  right: \(1, 2\)"):
        matrix.inner(kronecker(namespace, [[1, 0], [0, 1]], [[2]]))
    with pytest.raises(KindError, match="DenseMatrix"):
        matrix.inner(matrix.dense())
