"""Particulars of GF(p)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, random_prime
from geomkfac.errors import DivisionByZeroError, ValuesError

PRIMES = [3, 5, 101, 2**30 + 3, 2**31 - 1]


def test_fields_are_one_object_for_each_prime():
    assert GF(101) is GF(101)
    assert GF(101) is not GF(103)
    assert GF(101).default_namespace is GF(101).default_namespace


@pytest.mark.parametrize("p", [-3, 0, 1, 2, 4, 561, 2**31 - 3, 2**31 + 11, 2**61 - 1])
def test_only_odd_primes_below_two_to_the_31_make_a_field(p):
    with pytest.raises(ValuesError, match="odd prime below"):
        GF(p)


def test_random_primes_have_31_bits_and_are_prime():
    rng = np.random.default_rng(0)
    primes = [random_prime(rng) for _ in range(20)]
    assert len(set(primes)) == 20
    for p in primes:
        assert 2**30 < p < 2**31
        assert all(p % q for q in range(2, 1000))
        assert pow(2, p - 1, p) == 1


@given(p=st.sampled_from(PRIMES), a=st.integers(), b=st.integers())
def test_arithmetic_is_that_of_integers_modulo_p(p, a, b):
    ns = GF(p).default_namespace
    x, y = ns.asarray([a]), ns.asarray([b])
    assert ns.to_numpy(x + y).tolist() == [(a + b) % p]
    assert ns.to_numpy(x - y).tolist() == [(a - b) % p]
    assert ns.to_numpy(x * y).tolist() == [a * b % p]
    assert ns.to_numpy(-x).tolist() == [-a % p]
    if b % p:
        assert ns.to_numpy(x / y).tolist() == [a * pow(b, -1, p) % p]


@pytest.mark.parametrize("p", PRIMES)
@pytest.mark.parametrize("inner", [1, 2, 63, 64, 65, 128, 200, 1000])
def test_matrix_products_are_exact_at_the_largest_entries(p, inner):
    ns = GF(p).default_namespace
    largest = ns.ones((2, inner)) * (p - 1)
    assert ns.to_numpy(largest @ largest.mT).tolist() == [[inner % p] * 2] * 2
    rng = np.random.default_rng(inner)
    a, b = ns.random(rng, (3, inner)), ns.random(rng, (2, inner, 4))
    assert (ns.to_numpy(a @ b) == ns.to_numpy(a) @ ns.to_numpy(b) % p).all()


def test_sums_of_many_large_entries_do_not_overflow():
    ns = GF(2**31 - 1).default_namespace
    assert ns.to_numpy(ns.sum(ns.ones((10**6,)) * -1)).tolist() == -(10**6) % (2**31 - 1)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, np.uint32, np.uint64])
def test_integer_arrays_of_every_width_are_reduced(dtype):
    info = np.iinfo(dtype)
    ns = GF(101).default_namespace
    values = [int(info.min), int(info.max)]
    assert ns.to_numpy(ns.asarray(np.array(values, dtype=dtype))).tolist() == [x % 101 for x in values]


def test_fractions_are_reduced_where_they_exist():
    ns = GF(101).default_namespace
    assert ns.equal(ns.asarray([Fraction(-2, 3)]) * 3, ns.asarray([-2]))
    with pytest.raises(DivisionByZeroError, match="not divisible by 101"):
        ns.asarray([Fraction(1, 202)])


def test_random_entries_reach_the_whole_field():
    ns = GF(3).default_namespace
    assert set(ns.to_numpy(ns.random(np.random.default_rng(0), (100,))).tolist()) == {0, 1, 2}


def test_a_matrix_can_be_singular_over_one_field_and_not_over_another():
    matrix = [[1, 2], [3, 107]]
    assert GF(101).default_namespace.rank(GF(101).default_namespace.asarray(matrix)) == 1
    assert GF(103).default_namespace.rank(GF(103).default_namespace.asarray(matrix)) == 2
