"""Activations against SymPy at high precision, and over exact kinds of scalars."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import array_api_strict
import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, namespace_of
from geomkfac.errors import KindError, UnknownNameError, ValuesError
from geomkfac.maps.activation import (
    ACTIVATIONS,
    Activation,
    activation,
    identity,
    logistic,
    polynomial,
    relu,
    softplus,
    tanh,
)

x = sympy.Symbol("x", real=True)
FORMULAS = {
    "identity": x,
    "tanh": sympy.tanh(x),
    "logistic": 1 / (1 + sympy.exp(-x)),
    "softplus": sympy.log(1 + sympy.exp(x)),
}
SMOOTH = sorted(FORMULAS)
# Both tails, the last points where a result can be represented, and beyond.
POINTS = [0.0, 1e-30, 1e-8, 1e-3, 0.1, 0.5, 1.0, 2.0, 5.0, 9.0, 18.5, 20.0, 37.0, 44.0, 80.0, 89.0, 104.0]
POINTS += [340.0, 360.0, 700.0, 709.0, 745.0, 750.0, 1e4]
PRIME = 1_073_741_827
ULPS = 4  # what NumPy's elementary functions are allowed to be off by
ROUNDINGS = 8  # at most so many further operations, each within half a unit


@cache
def oracle(name: str, order: int, z: float) -> mpmath.mpf:
    """The derivative of that order at z, by SymPy."""
    function = sympy.lambdify(x, sympy.diff(FORMULAS[name], x, order), "mpmath")
    with mpmath.workdps(100 + int(abs(z))):  # 1 - tanh² z cancels 0.87 |z| digits
        return +mpmath.mpf(function(mpmath.mpf(z)))


def points(dtype: Any) -> Any:
    return np.asarray([-z for z in reversed(POINTS)] + POINTS, dtype=dtype)


def agrees(result: Any, name: str, order: int, z: Any) -> bool:
    """Whether every entry is right to the last digits, down to the least subnormal number."""
    info = np.finfo(z.dtype)
    relative = (ULPS + ROUNDINGS / 2) * float(info.eps)
    least = mpmath.mpf(float(info.smallest_subnormal)) * ULPS
    for value, point in zip(result, z, strict=True):
        expected = oracle(name, order, float(point))
        if abs(mpmath.mpf(float(value)) - expected) > relative * abs(expected) + least:
            return False
    return True


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SMOOTH)
def test_values_and_derivatives_have_full_relative_accuracy_in_both_tails(name: str, dtype: Any) -> None:
    phi, z = activation(name), points(dtype)
    ns = namespace_of(z)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        results = phi.value(ns, z), phi.derivative(ns, z), phi.second_derivative(ns, z)
    for order, result in enumerate(results):
        assert result.dtype == dtype
        assert result.shape == z.shape
        assert agrees(result, name, order, z), f"derivative of order {order}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SMOOTH)
def test_the_combined_pass_gives_the_value_and_the_derivative(name: str, dtype: Any) -> None:
    phi, z = activation(name), points(dtype)
    a, da = phi.value_and_derivative(namespace_of(z), z)
    assert agrees(a, name, 0, z)
    if phi is tanh:
        # 1 - a², where a is off by ULPS units: absolute error 2 |a| ULPS eps, and two roundings.
        error = np.abs(da - tanh.derivative(namespace_of(z), z))
        assert np.all(error <= (2 * ULPS + 2) * np.finfo(dtype).eps)
    else:
        assert agrees(da, name, 1, z)


def test_the_accuracy_test_refuses_the_textbook_formulas() -> None:
    z = points(np.float64)
    a = np.tanh(z)
    assert not agrees(1 - a * a, "tanh", 1, z)
    s = logistic.value(namespace_of(z), z)
    assert not agrees(s * (1 - s), "logistic", 1, z)
    assert not agrees(np.logaddexp(0, z).astype(np.float32).astype(float), "softplus", 0, z)


def test_relu_is_zero_below_and_the_identity_above() -> None:
    z = np.asarray([-1e4, -1.0, 0.0, 2.0, 1e4])
    ns = namespace_of(z)
    a, da = relu.value_and_derivative(ns, z)
    assert a.tolist() == [0, 0, 0, 2, 1e4]
    assert da.tolist() == [0, 0, 0, 1, 1]
    assert not relu.second_derivative(ns, z).any()
    assert not relu.smooth


def test_all_named_activations_but_relu_are_smooth() -> None:
    assert [phi.name for phi in ACTIVATIONS.values() if not phi.smooth] == ["relu"]
    assert polynomial(1, 2).smooth


@pytest.mark.parametrize("phi", [*ACTIVATIONS.values(), polynomial(1, 0.5)], ids=lambda phi: phi.name)
def test_an_activation_runs_on_any_library_of_the_array_api(phi: Activation) -> None:
    z = np.asarray([[-3.0, -0.5], [0.25, 40.0]], dtype=np.float32)
    strict = array_api_strict.asarray(z)
    there, here = namespace_of(strict), namespace_of(z)
    for method in (phi.value, phi.derivative, phi.second_derivative):
        result = method(there, strict)
        assert namespace_of(result) is there
        assert np.array_equal(np.asarray(there.to_numpy(result)), method(here, z))


coefficients = st.lists(st.integers(-5, 5), min_size=1, max_size=5)


@given(coefficients, st.lists(st.integers(0, PRIME - 1), min_size=1, max_size=4))
def test_polynomials_and_their_derivatives_are_exact_over_a_finite_field(c: list[int], zs: list[int]) -> None:
    ns = GF(PRIME).default_namespace
    phi, z = polynomial(c), ns.asarray(zs)
    a, da = phi.value_and_derivative(ns, z)
    formula = sum((power * x**k for k, power in enumerate(c)), sympy.Integer(0))
    for order, result in enumerate((a, da, phi.second_derivative(ns, z))):
        derivative = sympy.diff(formula, x, order)
        expected = [int(derivative.subs(x, value)) % PRIME for value in zs]
        assert ns.equal(result, ns.asarray(expected))
    assert ns.equal(phi.value(ns, z), a)
    assert ns.equal(phi.derivative(ns, z), da)


def test_a_polynomial_takes_fractions_over_every_kind() -> None:
    phi = polynomial(Fraction(1, 2), Fraction(1, 3))
    field = GF(PRIME).default_namespace
    value = phi.value(field, field.asarray([3]))
    assert field.equal(value * 2, field.asarray([3]))
    z = np.asarray([3.0], dtype=np.float32)
    result = phi.value(namespace_of(z), z)
    assert result.dtype == np.float32
    assert result[0] == np.float32(1.5)


def test_the_identity_runs_over_a_finite_field() -> None:
    ns = GF(PRIME).default_namespace
    z = ns.asarray([[1, 2], [3, 4]])
    a, da = identity.value_and_derivative(ns, z)
    assert ns.equal(a, z)
    assert ns.equal(da, ns.ones((2, 2)))
    assert ns.is_zero(identity.second_derivative(ns, z))


@pytest.mark.parametrize("phi", [tanh, logistic, relu, softplus], ids=lambda phi: phi.name)
def test_what_needs_order_is_refused_over_a_finite_field(phi: Activation) -> None:
    ns = GF(PRIME).default_namespace
    z = ns.asarray([1, 2])
    for method in (phi.value, phi.derivative, phi.value_and_derivative, phi.second_derivative):
        with pytest.raises(KindError, match=r"ordered kind of scalar"):
            method(ns, z)


def test_a_float_coefficient_is_refused_over_a_finite_field() -> None:
    ns = GF(PRIME).default_namespace
    with pytest.raises(KindError):
        polynomial(0.5, 1).value(ns, ns.asarray([1]))


def test_an_activation_is_found_by_name_or_passed_through() -> None:
    assert activation("tanh") is tanh
    assert activation(softplus) is softplus
    phi = polynomial(1, 2)
    assert activation(phi) is phi
    assert {activation(name).name for name in ACTIVATIONS} == set(ACTIVATIONS)


def test_an_unknown_activation_lists_those_known_and_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as refused:
        activation("tahn")
    assert "'softplus'" in str(refused.value)
    assert "Did you mean 'tanh'?" in str(refused.value)
    with pytest.raises(UnknownNameError, match="unknown activation 7"):
        activation(7)  # type: ignore[arg-type]


def test_a_polynomial_without_coefficients_or_with_nonsense_is_refused() -> None:
    with pytest.raises(ValuesError, match="at least one"):
        polynomial()
    with pytest.raises(KindError, match="coefficient 1"):
        polynomial(1, "2")  # type: ignore[arg-type]
    with pytest.raises(KindError, match="coefficient 0"):
        polynomial(True)


def test_activations_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        polynomial(1, 2).coefficients = (3,)  # type: ignore[misc]
