"""Random rows belong to the datum, not to the chunk."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import Draws, generator
from geomkfac.errors import ShapeError, ValuesError

SIZES = st.integers(0, 12)
PINNED = 1518424946


@pytest.mark.parametrize("name", ["uniform", "normal"])
@given(
    seed=st.integers(0, 2**128 - 1), first=st.integers(0, 2**40), count=SIZES, cut=SIZES, k=st.integers(0, 9)
)
def test_rows_do_not_depend_on_chunks(name, seed, first, count, cut, k):
    draw = getattr(Draws(seed), name)
    cut = min(cut, count)
    chunks = [draw(first, cut, k), draw(first + cut, count - cut, k)]
    whole = draw(first, count, k)
    assert whole.shape == (count, k)
    assert np.array_equal(np.concatenate(chunks), whole)


def test_seeds_data_and_places_draw_different_numbers():
    draws = np.concatenate([Draws(seed).uniform(0, 50, 5) for seed in (0, 1)])
    assert len(np.unique(draws)) == draws.size


def test_uniform_numbers_are_inside_the_open_interval_and_spread():
    x = Draws(7).uniform(0, 2500, 4)
    assert x.min() > 0.0
    assert x.max() < 1.0
    # Each decile of 10000 holds a binomial number, of standard deviation 30; six of them.
    counts, _ = np.histogram(x, bins=10, range=(0.0, 1.0))
    assert np.abs(counts - 1000).max() < 180


def test_normal_numbers_have_the_moments_and_are_uncorrelated():
    x = Draws(7).normal(0, 10000, 3)
    # Mean, variance and covariances of 10000 have standard deviations of at most sqrt(2) / 100; six.
    assert np.abs(x.mean(axis=0)).max() < 0.06
    assert np.abs(x.T @ x / 10000 - np.eye(3)).max() < 0.06 * math.sqrt(2)


def test_normal_numbers_in_single_precision_are_the_same_numbers_rounded():
    double = Draws(7).normal(3, 500, 5)
    single = Draws(7).normal(3, 500, 5, epsilon=float(np.finfo(np.float32).eps))
    assert double.dtype == np.float64
    assert single.dtype == np.float32
    # Columns i and i + 3 are one radius times a cosine and a sine.  Its square is -2 log u: rounding u moves
    # it by at most 2 epsilon, and each of the six steps after rounds by half an epsilon of the square.
    squares = [x[:, :2] ** 2 + x[:, 3:5] ** 2 for x in (double, single.astype(float))]
    assert np.abs(squares[0] - squares[1]).max() <= 8 * np.finfo(np.float32).eps * (1 + squares[0].max())


@pytest.mark.parametrize("seed", [-1, 2**128, 1.5, "0", None, True])
def test_a_seed_is_a_nonnegative_integer(seed):
    with pytest.raises(ValuesError, match="nonnegative integer"):
        Draws(seed)


@pytest.mark.parametrize("arguments", [(-1, 1, 1), (0, -1, 1), (0, 1, -1)])
def test_rows_are_counted_from_zero(arguments):
    with pytest.raises(ShapeError):
        Draws(0).uniform(*arguments)


def test_draws_with_one_seed_are_equal():
    assert Draws(3) == Draws(3)
    assert Draws(3) != Draws(4)


def test_a_generator_depends_on_its_key_alone():
    one, same = generator(3, "bases", 0), generator(3, "bases", 0)
    assert np.array_equal(one.random(5), same.random(5))
    others = [generator(3, "bases", 1), generator(3, "data", 0), generator(4, "bases", 0), generator("3", "bases", 0)]
    assert len({float(other.random()) for other in [generator(3, "bases", 0), *others]}) == 5
    # Pinned: evidence that was printed on one machine is found again on another.
    assert generator(0, "LG-T2.1").integers(2**32) == PINNED
