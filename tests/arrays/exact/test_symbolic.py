"""Arrays of expressions: equality by simplification, and the same laws as over any field (test_conformance)."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction

import numpy as np
import pytest
import sympy

from geomkfac.arrays import Stream, floating, namespace_of, symbolic, symbols, vanishes
from geomkfac.errors import DivisionByZeroError, KindError, SingularMatrixError

S = symbolic.default_namespace
x, y = sympy.symbols("x y", real=True)


@pytest.mark.parametrize(
    "expression",
    [
        (x + y) ** 2 - x**2 - 2 * x * y - y**2,
        (x**2 - 1) / (x - 1) - x - 1,
        1 / (1 + 1 / x) - x / (x + 1),
        sympy.exp(x + y) - sympy.exp(x) * sympy.exp(y),
        sympy.exp(2 * x) - sympy.exp(x) ** 2,
        1 / (1 + sympy.exp(-x)) - sympy.exp(x) / (sympy.exp(x) + 1),
        sympy.sin(x) ** 2 + sympy.cos(x) ** 2 - 1,
        sympy.sqrt(x**2 + 2 * x + 1) ** 2 - (x + 1) ** 2,
        sympy.Integer(0),
    ],
)
def test_what_is_zero_vanishes(expression):
    assert vanishes(expression)


@pytest.mark.parametrize("expression", [x, x - y, sympy.exp(x) - x, sympy.exp(x) - sympy.exp(-x), sympy.Integer(2)])
def test_what_is_not_zero_does_not(expression):
    assert not vanishes(expression)


def test_fresh_symbols_are_named_indexed_and_never_the_same():
    stream = Stream("test")
    W, again = symbols(stream, (2, 2), "W"), symbols(stream, (2, 2), "W")
    assert S.to_numpy(W).tolist() == [
        [sympy.Symbol("W_11", real=True), sympy.Symbol("W_12", real=True)],
        [sympy.Symbol("W_21", real=True), sympy.Symbol("W_22", real=True)],
    ]
    assert str(S.to_numpy(again)[0, 0]) == "W'_11"
    unnamed = [str(symbol) for _ in range(2) for symbol in S.to_numpy(S.random(stream, (2,)))]
    assert len(set(unnamed)) == 4
    assert S.to_numpy(symbols(stream, (), "t")).item() == sympy.Symbol("t", real=True)
    (positive,) = S.to_numpy(symbols(stream, (1,), "p", positive=True))
    assert positive.is_positive
    assert str(S.to_numpy(symbols(stream, (10,), "v"))[9]) == "v_10"
    assert str(S.to_numpy(symbols(stream, (11, 1), "M"))[10, 0]) == "M_11,1"


def test_inverses_and_solutions_hold_as_identities():
    a, b = symbols(Stream("a"), (3, 3), "a"), symbols(Stream("b"), (3, 2), "b")
    assert S.equal(a @ S.inverse(a), S.eye(3))
    assert S.equal(a @ S.solve(a, b), b)


def test_rank_and_nullspace_see_through_expressions():
    row = symbols(Stream("r"), (1, 3), "r")
    matrix = S.concat([row, row * S.scalar(x), row * S.scalar(x + 1)])
    assert S.rank(matrix) == 1
    null = S.nullspace(matrix)
    assert tuple(null.shape) == (3, 2)
    assert S.is_zero(matrix @ null)
    assert S.rank(S.zeros((0, 3))) == 0
    assert S.equal(S.nullspace(S.zeros((0, 3))), S.eye(3))


def test_what_is_singular_as_an_identity_is_refused():
    row = symbols(Stream("r"), (1, 2), "r")
    with pytest.raises(SingularMatrixError, match="determinant 0"):
        S.inverse(S.concat([row, row * S.scalar(y)]))
    with pytest.raises(DivisionByZeroError, match="1 zero entries of 2"):
        S.ones((2,)) / S.asarray([x - x + 1, (x + 1) ** 2 - x**2 - 2 * x - 1])


def test_only_expressions_integers_and_fractions_come_in():
    assert S.equal(S.asarray([Fraction(1, 2), 3, x]), S.asarray([sympy.Rational(1, 2), sympy.Integer(3), x]))
    for values in ([0.5], np.ones(2), ["x"], [True]):
        with pytest.raises(KindError, match="SymPy expressions, integers or Fractions"):
            S.asarray(values)
    with pytest.raises(KindError, match="array of expressions"):
        symbolic.namespace_of(np.ones(2))
    with pytest.raises(KindError):
        S.ones((2,)) + floating.default_namespace.ones((2,))


def test_there_is_one_kind_and_one_namespace():
    array = S.asarray([x])
    assert namespace_of(array) is S
    assert pickle.loads(pickle.dumps(symbolic)) is symbolic
    assert pickle.loads(pickle.dumps(S)) is S
    assert copy.deepcopy(symbolic) is symbolic
    assert S.equal(pickle.loads(pickle.dumps(array)), array)


def test_simplified_entries_are_short():
    array = S.simplified(S.asarray([(x**2 - 1) / (x - 1)]))
    assert S.to_numpy(array)[0] == x + 1
