"""The degree rules against the true degrees and norms that SymPy finds at small sizes."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import DegreeField, equality_bound, false_identity_bound
from geomkfac.errors import KindError, SingularMatrixError

PRIME = 2**31 - 1


class Twin:
    """A degree array and the same array of SymPy's rational functions, computed side by side."""

    def __init__(self, array, entries):
        self.array = array
        self.entries = np.asarray(entries, dtype=object)

    def map(self, on_array, on_entries):
        return Twin(on_array(self.array), on_entries(self.entries))


class Run:
    def __init__(self):
        self.ns = DegreeField(PRIME).default_namespace
        self.rng = np.random.default_rng(0)
        self.values = {}

    def variables(self, *shape):
        array = self.ns.random(self.rng, shape)
        symbols = np.array(
            [sympy.Symbol(f"t{len(self.values) + i}") for i in range(math.prod(shape))], dtype=object
        ).reshape(shape)
        self.values |= dict(zip(symbols.flat, self.ns.to_numpy(array).flat, strict=True))
        return Twin(array, symbols)

    def constants(self, values):
        entries = np.vectorize(lambda x: sympy.Rational(x.numerator, x.denominator), otypes=[object])(values)
        return Twin(self.ns.asarray(values), entries)


def numerator_and_denominator(entry):
    numerator, denominator = sympy.fraction(sympy.cancel(sympy.together(entry)))
    return sympy.Poly(numerator, *_generators(entry)), sympy.Poly(denominator, *_generators(entry))


def _generators(entry):
    return sorted(entry.free_symbols, key=str) or [sympy.Symbol("t")]


def check(run, twin):
    """Values agree at the random point; reduced degrees, and norms of polynomials, stay within bounds."""
    bound = twin.array.bound
    for value, entry in zip(run.ns.to_numpy(twin.array).flat, twin.entries.flat, strict=True):
        numerator, denominator = numerator_and_denominator(sympy.sympify(entry))
        if not numerator.is_zero:
            assert numerator.total_degree() <= bound.degree
            assert denominator.total_degree() <= bound.denominator_degree
        if not bound.denominator:
            assert sum(map(abs, numerator.coeffs())) <= 2**bound.bits * (1 + 1e-9)
        point = [run.values.get(symbol, 0) for symbol in numerator.gens]
        difference = sympy.Rational(int(value) * denominator(*point) - numerator(*point))
        assert difference.p % PRIME == 0


def inverse_entries(entries):
    return np.array(sympy.Matrix(entries).inv().tolist(), dtype=object)


OPERATIONS = {
    "sum": lambda run, x, y: Twin(x.array + y.array, x.entries + y.entries),
    "difference": lambda run, x, y: Twin(x.array - y.array, x.entries - y.entries),
    "product": lambda run, x, y: Twin(x.array * y.array, x.entries * y.entries),
    "matmul": lambda run, x, y: Twin(x.array @ y.array, x.entries @ y.entries),
    "inverse": lambda run, x, y: x.map(run.ns.inverse, inverse_entries),
    "solve": lambda run, x, y: Twin(run.ns.solve(x.array, y.array), inverse_entries(x.entries) @ y.entries),
    "half": lambda run, x, y: x.map(lambda a: a / 2, lambda e: e / sympy.Integer(2)),
    "quotient by an entry": lambda run, x, y: Twin(x.array / y.array[0, 1], x.entries / y.entries[0, 1]),
    "stack": lambda run, x, y: Twin(
        run.ns.stack([x.array[0, ...], y.array[1, ...]]), np.stack([x.entries[0], y.entries[1]])
    ),
}


@given(program=st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=3))
def test_random_programs_stay_within_their_bounds(program):
    run = Run()
    x, y = run.variables(2, 2), run.variables(2, 2)
    for name in program:
        x, y = y, OPERATIONS[name](run, x, y)
        check(run, y)


def test_elementwise_quotients_have_the_product_of_all_denominators():
    run = Run()
    x, y = run.variables(2), run.variables(2)
    quotient = Twin(x.array / y.array, x.entries / y.entries)
    check(run, quotient)
    total = Twin(run.ns.sum(quotient.array), quotient.entries.sum())
    check(run, total)
    assert (total.array.bound.degree, total.array.bound.denominator_degree) == (2, 2)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_bound_of_a_generic_inverse_is_attained(n):
    run = Run()
    x = run.variables(n, n)
    bound = run.ns.inverse(x.array).bound
    entry = sympy.Matrix(x.entries).inv()[0, 0]
    numerator, denominator = numerator_and_denominator(entry)
    assert (bound.degree, bound.denominator_degree) == (n - 1, n)
    assert (numerator.total_degree(), denominator.total_degree()) == (n - 1, n)
    for poly, bits in ((numerator, bound.bits), (denominator, bound.denominator_bits)):
        assert sum(map(abs, poly.coeffs())) == round(2**bits)


def test_the_bound_of_a_generic_product_is_attained():
    run = Run()
    x, y = run.variables(2, 3), run.variables(3, 2)
    entry = sympy.Poly((x.entries @ y.entries)[0, 0])
    bound = (x.array @ y.array).bound
    assert bound.degree == entry.total_degree() == 2
    assert round(2**bound.bits) == sum(map(abs, entry.coeffs())) == 3


@pytest.mark.parametrize("swapped", [False, True])
def test_sums_have_the_larger_degree_over_both_denominators(swapped):
    run = Run()
    x, y = run.variables(2, 2), run.variables(1, 2)
    inverse = x.map(run.ns.inverse, inverse_entries)
    square = Twin(y.array * y.array, y.entries * y.entries)
    quotient = Twin(square.array / y.array[0, 1], square.entries / y.entries[0, 1])
    # Degrees 2 / 0, 1 / 2 and 2 / 1.
    for first, second in ((y, square), (inverse, square), (inverse, quotient)):
        left, right = (second, first) if swapped else (first, second)
        check(run, Twin(left.array + right.array, left.entries + right.entries))


def test_sums_over_one_denominator_do_not_grow():
    run = Run()
    inverse = run.ns.inverse(run.variables(3, 3).array)
    total = inverse + inverse @ run.ns.ones((3, 3)) - 2 * inverse.mT
    assert total.bound.degree == inverse.bound.degree
    assert total.bound.denominator == inverse.bound.denominator


def test_a_batch_of_inverses_has_the_product_of_its_determinants():
    run = Run()
    x = run.variables(2, 2, 2)
    inverse = Twin(run.ns.inverse(x.array), np.stack([inverse_entries(entries) for entries in x.entries]))
    check(run, inverse)
    total = Twin(run.ns.sum(inverse.array, axis=0), inverse.entries.sum(axis=0))
    check(run, total)
    assert (total.array.bound.degree, total.array.bound.denominator_degree) == (3, 4)


def test_constants_have_degree_zero_and_their_own_size():
    run = Run()
    constants = run.constants(np.array([Fraction(1, 6), Fraction(-3, 4)], dtype=object))
    check(run, constants)
    bound = constants.array.bound
    assert (bound.degree, bound.denominator_degree) == (0, 0)
    assert (round(2**bound.bits), round(2**bound.denominator_bits)) == (9, 12)


def test_a_nullspace_has_minors_of_the_rank():
    run = Run()
    x = run.variables(2, 3).array
    basis = run.ns.nullspace(x)
    assert (basis.bound.degree, basis.bound.denominator_degree) == (2, 2)
    assert run.ns.kind.bound == (0, 2, 0)


def test_branches_on_zero_are_entered_in_the_account():
    run = Run()
    x, y = run.variables(3, 2).array, run.variables(2, 3).array
    assert run.ns.rank(x @ y) == 2
    # Minors of order 3 of entries of degree 2 and norm 2: degree 6, norm 3! 2^3 = 48 < 2^6.
    assert run.ns.kind.bound == (6, 0, 6)
    assert run.ns.equal(x @ y, x @ y)
    assert run.ns.kind.bound == (8, 0, 8)
    assert not run.ns.equal(x, y.mT)
    assert not run.ns.is_zero(x)
    assert run.ns.kind.bound == (8, 0, 8)
    assert run.ns.is_zero(x - x)
    assert run.ns.kind.bound == (9, 0, 9)


def test_comparison_multiplies_across_and_counts_every_denominator():
    run = Run()
    x, y = run.ns.inverse(run.variables(2, 2).array), run.ns.inverse(run.variables(3, 3).array)[:2, :2]
    d, e, b = equality_bound(x, y)
    assert (d, e) == (max(1 + 3, 2 + 2), 2 + 3)
    # Norms: 1 * 3! + 2! * 2! = 10.
    assert b == math.ceil(math.log2(10))


def test_what_was_divided_by_counts_even_where_it_cancels():
    run = Run()
    x = run.variables(2, 2).array
    twice = run.ns.inverse(run.ns.inverse(x))
    assert equality_bound(twice, x)[1] == 2 + 2 * 1
    assert run.ns.equal(twice, x)


def test_singular_points_raise_and_are_to_be_drawn_again():
    run = Run()
    with pytest.raises(SingularMatrixError):
        run.ns.inverse(run.ns.zeros((2, 2)))


def test_runs_do_not_mix():
    with pytest.raises(KindError, match="same run"):
        equality_bound(Run().variables(1).array, Run().variables(1).array)


def test_the_probability_of_a_false_identity():
    assert false_identity_bound(0, 0, 0, PRIME) == 0.0
    assert false_identity_bound(10, 0, 0, PRIME) == 10 / PRIME
    assert false_identity_bound(10, 5, 30, PRIME) == pytest.approx(1 / 5.06e7 + 10 / (PRIME - 5), rel=1e-15)
    assert false_identity_bound(1, PRIME, 0, PRIME) == 1.0
    assert false_identity_bound(2 * PRIME, 0, 0, PRIME) == 1.0


@pytest.mark.parametrize("p", [3, 5, 11])
def test_false_identities_pass_no_more_often_than_the_bound(p):
    """Schwartz-Zippel's share, at primes so small that accidents happen: x y = y x for matrices."""
    trials, passed = 400, 0
    rng = np.random.default_rng(p)
    for _ in range(trials):
        ns = DegreeField(p).default_namespace
        x, y = ns.random(rng, (2,)), ns.random(rng, (2,))
        d, e, _ = equality_bound(x[0] * y[1], x[1] * y[0])
        assert (d, e) == (2, 0)
        passed += ns.equal(x[0] * y[1], x[1] * y[0])
    assert passed > 0
    # Six standard deviations of a share of 400 are at most 0.15.
    assert passed / trials <= 2 / p + 0.15
