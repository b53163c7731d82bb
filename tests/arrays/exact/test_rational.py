"""Particulars of Q, above all its order."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import rational
from geomkfac.errors import KindError, ShapeError, ValuesError

Q = rational.default_namespace
FORMS = st.lists(st.integers(-3, 3), min_size=6, max_size=6)


def determinant(matrix):
    if not matrix:
        return 1
    minors = ([row[:j] + row[j + 1 :] for row in matrix[1:]] for j in range(len(matrix)))
    return sum((-1) ** j * matrix[0][j] * determinant(minor) for j, minor in enumerate(minors))


def principal_minors(matrix):
    """Of all subsets of the indices, the leading ones among them."""
    n = len(matrix)
    for subset in range(1, 2**n):
        kept = [i for i in range(n) if subset >> i & 1]
        yield kept, determinant([[matrix[i][j] for j in kept] for i in kept])


@given(entries=FORMS)
def test_positivity_is_decided_as_by_minors(entries):
    matrix = np.zeros((3, 3), dtype=int)
    matrix[np.tril_indices(3)] = entries
    matrix = matrix + np.tril(matrix, -1).T
    minors = list(principal_minors(matrix.tolist()))
    a = Q.asarray(matrix) / 7
    assert Q.is_positive_semidefinite(a) == all(minor >= 0 for _, minor in minors)
    leading = [minor for kept, minor in minors if kept == list(range(len(kept)))]
    assert Q.is_positive_definite(a) == all(minor > 0 for minor in leading)


@given(entries=st.lists(st.integers(-3, 3), min_size=6, max_size=6))
def test_gram_matrices_are_positive_semidefinite(entries):
    x = Q.asarray(np.array(entries).reshape(2, 3))
    assert Q.is_positive_semidefinite(Q.gram(x))
    assert not Q.is_positive_definite(Q.gram(x))


def test_positivity_is_asked_of_symmetric_matrices():
    with pytest.raises(ShapeError, match=r"\(2, 3\)"):
        Q.is_positive_definite(Q.ones((2, 3)))
    with pytest.raises(ValuesError, match="symmetric"):
        Q.is_positive_semidefinite(Q.asarray([[1, 2], [0, 1]]))


def test_entries_come_out_as_fractions():
    fractions = Q.as_fractions(Q.asarray([Fraction(1, 2), 3]))
    assert fractions.tolist() == [Fraction(1, 2), Fraction(3)]
    assert all(type(x) is Fraction for x in fractions)


def test_solutions_are_exact():
    hilbert = Q.asarray([[Fraction(1, i + j + 1) for j in range(8)] for i in range(8)])
    assert Q.equal(Q.inverse(hilbert) @ hilbert, Q.eye(8))


def test_flint_fractions_are_taken_as_they_are():
    flint = pytest.importorskip("flint")
    assert Q.equal(Q.asarray([flint.fmpq(1, 2)]) * 2, Q.ones((1,)))


def test_arrays_of_other_kinds_are_refused():
    with pytest.raises(KindError, match="over Q is required"):
        rational.namespace_of(np.zeros(2))
