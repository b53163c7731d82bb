"""Generic maps: free values, which are kept once they have been met."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF
from geomkfac.errors import KindError
from geomkfac.maps import GenericMap
from geomkfac.spaces import AffineSpace, gauge_fuzzing
from geomkfac.testing import changes_of_basis, parameterizations, points, vectors

FIELD = GF(2**31 - 1)
NS = FIELD.default_namespace
either = pytest.mark.parametrize("coordinatewise", [True, False])


@either
@given(data=st.data())
def test_a_batch_that_was_met_meets_the_same_values_in_whatever_frame_it_is_stored(
    coordinatewise: bool, data: st.DataObject
) -> None:
    Z, A = AffineSpace("Z", 2, FIELD), AffineSpace("A", 3 - coordinatewise, FIELD)
    kappa, iota = (data.draw(parameterizations([Z, A])) for _ in range(2))
    rho = GenericMap(kappa[Z], kappa[A], np.random.default_rng(0), coordinatewise=coordinatewise)
    z = data.draw(points(Z, kappa, (3,)))
    v = data.draw(vectors(Z.direction, iota, (3,)))
    value, derivative = rho.linearize(z)
    fresh = rho(z + (z - z[0]) + v.scaled(NS.ones((3,))))
    again, same = rho.linearize(z.expressed_in(iota))
    assert again == value == rho(z)
    assert same.pushforward(v) == derivative.pushforward(v)
    assert fresh.batch_shape == (3,)


def test_a_batch_that_differs_in_one_point_meets_fresh_values() -> None:
    Z, A = AffineSpace("Z", 2, FIELD), AffineSpace("A", 2, FIELD)
    zeta = Z.frame("zeta")
    rho = GenericMap(zeta, A.frame("alpha"), np.random.default_rng(0))
    z = Z.from_coordinates(NS.ones((2, 2)), zeta)
    other = Z.from_coordinates(NS.ones((2, 2)) + NS.eye(2), zeta)
    assert rho(z) != rho(other)
    assert rho(z[0]) != rho(other[0])
    assert rho(z) == rho(z + (z - z))


def test_the_derivative_is_diagonal_in_its_frames_or_a_full_matrix() -> None:
    Z, A = AffineSpace("Z", 2, FIELD), AffineSpace("A", 2, FIELD)
    zeta, alpha = Z.frame("zeta"), A.frame("alpha")
    z = Z.from_coordinates(NS.ones((2,)), zeta)
    basis = Z.direction.from_coordinates(NS.eye(2), zeta.linear)
    for coordinatewise in (True, False):
        rho = GenericMap(zeta, alpha, np.random.default_rng(0), coordinatewise=coordinatewise)
        jacobian = rho.linearize(z)[1].pushforward(basis).coordinates(alpha.linear)
        off_diagonal = jacobian - NS.diagonal(jacobian)[:, None] * NS.eye(2)
        assert NS.is_zero(off_diagonal) is coordinatewise


@given(changes_of_basis(2, FIELD))
def test_a_generic_map_keeps_its_table_under_gauge_fuzzing(change: tuple[object, object]) -> None:
    with gauge_fuzzing(np.random.default_rng(0)):
        Z = AffineSpace("Z", 2, FIELD)
        zeta = Z.frame("zeta")
        rho = GenericMap(zeta, zeta, np.random.default_rng(1), coordinatewise=False)
        z = Z.from_coordinates(NS.ones((3, 2)), zeta)
        assert rho(z) == rho(z + (z - z)) == rho(z.expressed_in(zeta.change(*change)))
    assert NS.equal(rho(z).coordinates(zeta), NS.random(np.random.default_rng(1), (3, 2)))


def test_a_generic_map_has_no_meaning_in_floating_point() -> None:
    Z = AffineSpace("Z", 2)
    zeta = Z.frame("zeta")
    with pytest.raises(KindError, match=r"over floating\.\nUse GF\(p\) or Q"):
        GenericMap(zeta, zeta, np.random.default_rng(0))
