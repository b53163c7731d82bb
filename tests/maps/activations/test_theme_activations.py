"""Activations against SymPy at high precision, and over exact kinds of scalars."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import array_api_strict
import mpmath
import numpy as np
import pytest
import scipy.special
import sympy
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, namespace_of
from geomkfac.errors import KindError, UnknownNameError, ValuesError
from geomkfac.maps.activations.activation import Activation
from geomkfac.maps.activations.by_name import ACTIVATIONS, activation
from geomkfac.maps.activations.polynomials import identity, polynomial
from geomkfac.maps.activations.rectifiers import elu, leaky_relu, relu, softplus
from geomkfac.maps.activations.self_gated import gelu
from geomkfac.maps.activations.sigmoids import logistic, tanh

x = sympy.Symbol("z", real=True)
WORDS = {"z": x, "Abs": lambda z: sympy.Piecewise((z, z > 0), (-z, z < 0), (0, True))}
"""What a formula is read with.  At a bend the pieces of formulas are what the docstrings say of derivatives there."""


def formula_of(phi: Activation) -> sympy.Expr:
    """What the activation says of itself, with its parameters as exact numbers."""
    read = sympy.sympify(phi.formula, locals=WORDS, rational=True)
    return read.subs({own: sympy.nsimplify(getattr(phi, own.name), rational=True) for own in read.free_symbols - {x}})


NAMES = [*ACTIVATIONS, "elu(-2.5)", "leaky_relu(0.25)"]
FORMULAS = {name: formula_of(activation(name)) for name in NAMES}
ELEMENTARY = {"silu": 3, "gelu": 5, "gelu_tanh": 3, "mish": 6}
"""Values of elementary functions that are multiplied, a square counted twice; one for the others.

Of mish exp(-a) is a square and stands in the factors again, of which N² changes by 1.1 of its relative error.
"""
# Both tails, the last points where a result can be represented, and beyond.
POINTS = [0.0, 1e-30, 1e-8, 1e-3, 0.1, 0.5, 1.0, 2.0, 5.0, 9.0, 18.5, 20.0, 37.0, 44.0, 80.0, 89.0, 104.0]
POINTS += [38.0, 38.4, 14.3, 340.0, 360.0, 700.0, 709.0, 745.0, 750.0, 1e4]
PRIME = 1_073_741_827
ULPS = 4  # what NumPy's elementary functions are allowed to be off by
ROUNDINGS = 8  # at most so many further operations, each within half a unit


@cache
def derivative(name: str, order: int) -> Any:
    """The derivative of that order, by SymPy, as a function of mpmath's numbers."""
    return sympy.lambdify(x, sympy.diff(FORMULAS[name], x, order), "mpmath")


@cache
def oracle(name: str, order: int, z: float) -> mpmath.mpf:
    """The derivative of that order at z."""
    function = derivative(name, order)
    # 1 - tanh² z cancels 0.87 |z| digits, and SymPy's erfc(-x) = 2 - erfc(x) as many as an exponent of float64 has.
    with mpmath.workdps(400 + int(abs(z))):
        return +mpmath.mpf(function(mpmath.mpf(z)))


def points(dtype: Any) -> Any:
    return np.asarray([-z for z in reversed(POINTS)] + POINTS, dtype=dtype)


def agrees(result: Any, name: str, order: int, z: Any) -> bool:
    """Whether every entry is right to the last digits, down to the least subnormal number."""
    info = np.finfo(z.dtype)
    least = mpmath.mpf(float(info.smallest_subnormal)) * ULPS
    for value, point in zip(result, z, strict=True):
        expected = oracle(name, order, float(point))
        # The argument w of the exponential in `gelu_tanh` is rounded seven times.
        argument = 1.6 * (abs(point) + 0.044715 * abs(float(point)) ** 3) if name == "gelu_tanh" else 0.0
        relative = (ULPS * ELEMENTARY.get(name, 1) + ROUNDINGS / 2 + 3.5 * argument) * float(info.eps)
        if abs(mpmath.mpf(float(value)) - expected) > relative * abs(expected) + least:
            return False
    return True


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
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
@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("phi", ACTIVATIONS.values(), ids=lambda phi: phi.name)
def test_nothing_overflows_at_half_of_the_largest_number(phi: Activation, dtype: Any) -> None:
    z = np.finfo(dtype).max / np.asarray([-2, 2], dtype=dtype)
    ns = namespace_of(z)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for result in (*phi.value_and_derivative(ns, z), phi.derivative(ns, z), phi.second_derivative(ns, z)):
            assert np.isfinite(result).all()


def test_the_accuracy_test_refuses_the_textbook_formulas() -> None:
    z = points(np.float64)
    a = np.tanh(z)
    assert not agrees(1 - a * a, "tanh", 1, z)
    s = logistic.value(namespace_of(z), z)
    assert not agrees(s * (1 - s), "logistic", 1, z)
    assert not agrees(np.logaddexp(0, z).astype(np.float32).astype(float), "softplus", 0, z)


def test_the_accuracy_test_refuses_the_textbook_formulas_of_those_that_gate_themselves() -> None:
    z = points(np.float64)
    assert not agrees(z * scipy.special.ndtr(z), "gelu", 0, z)
    assert not agrees(z * (1 + scipy.special.erf(z / np.sqrt(2))) / 2, "gelu", 0, z)
    s = logistic.value(namespace_of(z), z)
    assert not agrees(s + z * s * (1 - s), "silu", 1, z)
    assert not agrees(np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1), "elu", 0, z)
    gate = np.tanh(np.logaddexp(0, z))
    assert not agrees(z * gate, "mish", 0, z)
    assert not agrees(gate + z * s * (1 - gate * gate), "mish", 1, z)


@pytest.mark.parametrize(("name", "order", "zero"), [("gelu", 1, -0.7517915246935645), ("silu", 1, -1.2784645427610738),
    ("gelu", 2, 2**0.5), ("silu", 2, 2.3993572805154685), ("mish", 1, -1.1924312145154955),
    ("mish", 2, -2.2563763963607931), ("mish", 2, 1.4905711794854284)])  # fmt: skip
def test_next_to_a_zero_of_a_derivative_the_error_is_that_of_its_terms(name: str, order: int, zero: float) -> None:
    z = np.asarray([zero, -zero])
    phi, ns = activation(name), namespace_of(z)
    result = (phi.derivative, phi.second_derivative)[order - 1](ns, z)
    for value, point in zip(result, z, strict=True):
        # Both terms are below 1; as many elementary functions and operations as `agrees` counts.
        bound = (ULPS * ELEMENTARY[name] + ROUNDINGS / 2) * np.finfo(float).eps
        assert abs(float(oracle(name, order, float(point)) - mpmath.mpf(float(value)))) <= bound


def test_relu_is_zero_below_and_the_identity_above() -> None:
    z = np.asarray([-1e4, -1.0, 0.0, 2.0, 1e4])
    ns = namespace_of(z)
    a, da = relu.value_and_derivative(ns, z)
    assert a.tolist() == [0, 0, 0, 2, 1e4]
    assert da.tolist() == [0, 0, 0, 1, 1]
    assert not relu.second_derivative(ns, z).any()
    assert not relu.smooth


def test_those_that_bend_at_zero_are_not_smooth() -> None:
    for phi in (*ACTIVATIONS.values(), polynomial(1, 2)):
        assert phi.smooth == (not formula_of(phi).has(sympy.Piecewise)), phi.name


@pytest.mark.parametrize("phi", [*ACTIVATIONS.values(), leaky_relu(0.3), polynomial(0, 2), polynomial(0, 1, 1),
    polynomial(3), polynomial(0, 0)], ids=lambda phi: phi.name)  # fmt: skip
def test_an_activation_is_positively_homogeneous_if_it_says_so(phi: Activation) -> None:
    """A factor 2 rounds nothing; the powers of 2 among the points are far from what underflows."""
    z = np.asarray([-2.0, -0.25, 0.5, 1.0, 4.0])
    ns = namespace_of(z)
    assert np.array_equal(phi.value(ns, 2 * z), 2 * phi.value(ns, z)) == phi.positively_homogeneous


@pytest.mark.parametrize("phi", [*ACTIVATIONS.values(), polynomial(1, 0.5)], ids=lambda phi: phi.name)
def test_an_activation_runs_on_any_library_of_the_array_api(phi: Activation) -> None:
    z = np.asarray([[-3.0, -0.5], [0.25, 40.0]], dtype=np.float32)
    strict = array_api_strict.asarray(z)
    there, here = namespace_of(strict), namespace_of(z)
    for method in (phi.value, phi.derivative, phi.second_derivative):
        result = method(there, strict)
        assert namespace_of(result) is there
        difference = np.abs(np.asarray(there.to_numpy(result)) - method(here, z))
        # erfcx is SciPy's here and a polynomial there, each within 2 units; the rest is the same to the bit.
        assert np.all(difference <= (4 * np.finfo(np.float32).eps * (1 + np.abs(z)) if phi is gelu else 0.0))


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


NEED_ORDER = [phi for phi in ACTIVATIONS.values() if phi is not identity]


@pytest.mark.parametrize("phi", NEED_ORDER, ids=lambda phi: phi.name)
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


WITH_PARAMETERS = [leaky_relu(0.2), leaky_relu(-1), elu(2), elu(1e-3), polynomial(1, Fraction(-1, 3), 0.5)]


@pytest.mark.parametrize("phi", WITH_PARAMETERS, ids=lambda phi: phi.name)
def test_the_name_of_an_activation_with_parameters_is_how_it_is_found(phi: Activation) -> None:
    assert activation(phi.name) == phi
    assert activation(phi.name) != activation("elu(7)")


def test_parameters_may_be_named_and_default_to_the_usual_ones() -> None:
    assert activation("leaky_relu(slope = 0.2)") == leaky_relu(0.2)
    assert activation("elu(alpha=2)") == elu(2)
    assert activation("leaky_relu()") == activation("leaky_relu") == leaky_relu() == leaky_relu(0.01)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("leaky_relu(", ValuesError, "do not close"),
        ("leaky_relu(0.2) tanh", ValuesError, "do not close"),
        ("leaky_relu(steep)", ValuesError, "steep"),
        ("leaky_relu(1/0)", ValuesError, "Fraction"),
        ("elu(1, 2)", ValuesError, "2 were given"),
        ("elu(beta=2)", ValuesError, "beta"),
        ("elu(1e999)", ValuesError, "finite"),
        ("tanh(2)", UnknownNameError, "'leaky_relu'"),
        ("leaky_rel(2)", UnknownNameError, "Did you mean 'leaky_relu'"),
    ],
)
def test_text_that_is_no_activation_with_parameters_is_refused(text: str, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        activation(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "1", None, np.zeros(1)], ids=repr)
@pytest.mark.parametrize("make", [leaky_relu, elu])
def test_a_parameter_that_is_no_finite_number_is_refused(make: Any, value: Any) -> None:
    with pytest.raises(ValuesError, match="finite int or float"):
        make(value)


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
