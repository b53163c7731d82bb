"""The stream of random integers is the documented one, draws again the same, and is uniform."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from geomkfac.arrays import GF, Stream, random_prime, rational
from geomkfac.errors import ValuesError


def by_hand(key, call, low, high, count):
    """docs/certificates.md, in the standard library."""
    data = hashlib.shake_256(f"{key}/{call}".encode()).digest(16 * count)
    numbers = (int.from_bytes(data[i : i + 16], "big") for i in range(0, 16 * count, 16))
    return [low + u % (high - low) for u in numbers]


@pytest.mark.parametrize(("low", "high"), [(0, 2), (-9, 10), (2**30, 2**31), (0, 2**31 - 1), (-5, 2**32 - 5)])
def test_every_call_is_the_documented_one(low, high):
    stream = Stream(0, "LG-T2.1", "X", 3)
    for call, count in enumerate((1, 7, 0, 50)):
        drawn = stream.integers(low, high, (count,))
        assert drawn.tolist() == by_hand("0/LG-T2.1/X/3", call, low, high, count)


def test_sizes_and_dtypes_are_numpys():
    stream = Stream("key")
    assert stream.integers(5).shape == ()
    assert 0 <= int(stream.integers(5)) < 5
    assert stream.integers(0, 9, 4).shape == (4,)
    assert stream.integers(0, 9, (2, 0, 3)).shape == (2, 0, 3)
    assert stream.integers(0, 9, (2, 3), dtype=np.uint64).dtype == np.uint64


def test_exact_kinds_and_primes_draw_from_it():
    p = random_prime(Stream("p"))
    ns = GF(p).default_namespace
    one, other = (ns.random(Stream("x"), (3, 2)) for _ in range(2))
    assert ns.equal(one, other)
    Q = rational.default_namespace
    assert Q.equal(Q.random(Stream("q"), (4,)), Q.random(Stream("q"), (4,)))


def test_numbers_are_uniform():
    counts = np.bincount(Stream("uniform").integers(0, 10, 20_000), minlength=10)
    # Chi squared with 9 degrees of freedom: above 40 with probability 8e-6.
    assert float(((counts - 2000) ** 2 / 2000).sum()) < 40


@pytest.mark.parametrize(("low", "high"), [(0, 2**32 + 1), (3, 3), (4, 3)])
def test_ranges_that_it_cannot_draw_from_are_refused(low, high):
    with pytest.raises(ValuesError, match=r"at most 2\*\*32"):
        Stream("key").integers(low, high)
