"""A coordinate that is constant but for a tiny offset, as a change of basis leaves it, costs no accuracy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from geomkfac.arrays import rational
from geomkfac.metrics import DenseTensor
from geomkfac.spaces import Parameterization, VectorSpace


@pytest.mark.parametrize("offset", [0.0, 2.0**-40, 1.0])
def test_the_smallest_solution_is_the_exact_one_however_small_the_constant_coordinate(offset: float) -> None:
    rng = np.random.default_rng(0)
    # Coordinates: three that vary, one that is `offset` on all data, and the homogeneous one.
    varying = rng.integers(-4, 5, (12, 3)).astype(float)
    rows = np.column_stack([varying, np.full(12, offset), np.ones(12)])
    form, vector = rows.T @ rows, rng.integers(-4, 5, 5).astype(float)  # exact: dyadic numbers

    V = VectorSpace("V", 5)
    e = V.frame("e")
    g = DenseTensor.from_coordinates(form, e)
    norm = Parameterization([e]).euclidean
    solved = g.minimal_solution(g.flat(V.from_coordinates(vector, e)), norm=norm).coordinates(e)

    Q = VectorSpace("Q", 5, rational)
    f = Q.frame("f")
    exact_form = [[Fraction(x) for x in row] for row in form]
    exact = DenseTensor.from_coordinates(rational.default_namespace.asarray(exact_form), f)
    there = Q.from_coordinates([Fraction(x) for x in vector], f)
    smallest = exact.minimal_solution(exact.flat(there), norm=Parameterization([f]).euclidean).coordinates(f)
    expected = np.asarray([float(x) for x in rational.default_namespace.to_numpy(smallest)])

    assert g.nullity == exact.nullity == 1
    rest = np.linalg.eigvalsh(form)[1:]
    condition = rest[-1] / rest[0]
    # A solve with the form on a complement of its null space, and one projection: a few sums of n products.
    assert np.linalg.norm(solved - expected) <= 4 * 5 * np.finfo(float).eps * condition * np.linalg.norm(expected)
