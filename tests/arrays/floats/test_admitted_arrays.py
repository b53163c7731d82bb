"""What floating point does not let in, and what it says."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import array_api_strict
import numpy as np
import pytest

from geomkfac.arrays import GF, floating, namespace_of, rational
from geomkfac.errors import KindError, ValuesError

DOUBLE = floating.default_namespace


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        (np.arange(3), r"\.astype\(float\)"),
        (np.array([True]), r"\.astype\(float\)"),
        (np.zeros(2, dtype="float16"), r"\.astype\('float32'\)"),
        (np.zeros(2, dtype=">f8"), r"\.astype\('float32'\)"),
        (np.zeros(2, dtype=complex), "over the reals"),
        (np.array([1, None]), r"\.astype\(float\)"),
        (np.ma.masked_array([1.0], mask=[True]), "mask would be lost"),
        ([1.0, 2.0], r"np\.asarray"),
        (3.0, r"np\.asarray"),
        (None, "array API standard"),
        ("text", "array API standard"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_what_is_no_array_of_floats_is_refused_with_advice(values, advice):
    with pytest.raises(KindError, match=rf"weights must be(?s:.*){advice}"):
        DOUBLE.asarray(values, what="weights")
    with pytest.raises(KindError):
        namespace_of(values)


@pytest.mark.parametrize(
    ("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")], ids=["nan", "inf", "-inf"]
)
def test_values_that_are_not_finite_are_refused_with_their_place(value, shown):
    x = np.zeros((2, 3))
    x[1, 2] = value
    with pytest.raises(ValuesError, match=rf"data must hold(?s:.*)1 of 6(?s:.*){shown} at index \(1, 2\)"):
        DOUBLE.asarray(x, what="data")


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (np.zeros(2, dtype="float32"), "numpy float32"),
        (array_api_strict.asarray([0.0]), "array_api_strict float64"),
        (GF(101).default_namespace.ones((2,)), r"GF\(101\)"),
        (rational.default_namespace.ones((2,)), "Q"),
    ],
    ids=str,
)
def test_mixtures_are_refused_and_both_sides_named(other, name):
    with pytest.raises(KindError, match=rf"array 1: numpy float64\n  array 3: {name}"):
        namespace_of(np.zeros(2), np.ones(1), other)
    with pytest.raises(KindError):
        DOUBLE.asarray(other)


def test_no_array_has_no_namespace():
    with pytest.raises(KindError, match="came    : none"):
        namespace_of()


@pytest.mark.parametrize("value", [np.inf, np.nan, "1", None, True])
def test_a_scalar_is_a_finite_number(value):
    with pytest.raises((KindError, ValuesError)):
        DOUBLE.scalar(value)


def test_scalars_are_rounded_once():
    assert float(DOUBLE.scalar(Fraction(1, 3))) == 1 / 3
    assert float(DOUBLE.scalar(np.int64(3))) == 3.0


def test_the_door_shares_memory():
    x = np.zeros(3)
    assert np.shares_memory(DOUBLE.asarray(x), x)
    assert not np.shares_memory(DOUBLE.copy(x), x)


def test_subclasses_of_arrays_come_out_as_plain_arrays():
    assert type(DOUBLE.asarray(np.zeros((2, 2)).view(np.recarray))) is np.ndarray


def test_numpy_scalars_are_arrays_without_axes():
    assert namespace_of(np.zeros(3).sum()) is DOUBLE
    assert DOUBLE.asarray(np.float64(2.0)).shape == ()


def test_namespaces_are_one_object_for_each_library_dtype_and_device():
    assert namespace_of(np.zeros(1)) is namespace_of(np.ones((2, 2)))
    assert namespace_of(np.zeros(1)) is not namespace_of(np.zeros(1, dtype="float32"))
    assert namespace_of(array_api_strict.asarray([1.0])) is not DOUBLE


def test_linear_algebra_stays_in_single_precision():
    single = namespace_of(np.zeros(1, dtype="float32"))
    a = single.random(np.random.default_rng(0), (4, 4))
    spd = single.gram(a) + single.eye(4)
    results = {
        "solve": single.solve(a, a),
        "inverse": single.inverse(a),
        "nullspace": single.nullspace(a[:2]),
        "cholesky": single.cholesky(spd),
        "eigh": single.eigh(spd)[1],
        "qr": single.qr(a)[0],
        "singular values": single.singular_values(a),
        "kron": single.kron(a, a),
    }
    assert {what: x.dtype.name for what, x in results.items()} == dict.fromkeys(results, "float32")


def test_importing_the_arrays_imports_no_heavy_library():
    program = (
        "import sys, geomkfac.arrays; "
        "print(sorted({'scipy', 'flint', 'torch', 'sympy', 'jax', 'cupy'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
