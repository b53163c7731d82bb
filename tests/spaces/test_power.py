"""Powers of a space: a batch of points is a point of the power; the laws; the hull has one homogeneous coordinate."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, floating
from geomkfac.errors import ShapeError, SpaceMismatchError, ValuesError
from geomkfac.spaces import AffineSpace, Hull, PowerSpace, PowerVectorSpace, ProductSpace
from geomkfac.testing import changes_of_basis, check_space_laws, kinds

FIELD = GF(2147483629)


def test_powers_are_interned_by_base_and_grid():
    A, B = AffineSpace("A", 2), AffineSpace("B", 2)
    assert PowerSpace(A, (2, 3)) is PowerSpace(A, [2, 3])
    assert PowerSpace(A, (2, 3)) is not PowerSpace(A, (3, 2))
    assert PowerSpace(A, (2,)) is not PowerSpace(B, (2,))
    power = PowerSpace(A, (2, 3))
    assert power.direction is PowerVectorSpace(A.direction, (2, 3))
    assert power.direction.dual.dual is power.direction
    assert pickle.loads(pickle.dumps(power)) is power
    assert copy.deepcopy(power.direction.dual) is power.direction.dual


@given(kind=kinds(), data=st.data())
def test_the_laws_of_affine_and_vector_spaces_hold(kind, data):
    n, grid = data.draw(st.integers(1, 2)), data.draw(st.lists(st.integers(1, 2), max_size=2))
    power = PowerSpace(AffineSpace("A", n, kind), grid)
    for space in (power, power.direction, power.direction.dual, Hull(power)):
        check_space_laws(space, np.random.default_rng(data.draw(st.integers(0, 9))))


@given(change=changes_of_basis(2, FIELD), seed=st.integers(0, 99))
def test_a_change_of_basis_acts_at_every_place_alike(change, seed):
    ns, rng = FIELD.default_namespace, np.random.default_rng(seed)
    B, c = change
    A = AffineSpace("A", 2, FIELD)
    iota = A.frame("iota")
    kappa = iota.change(B, c)
    power = PowerSpace(A, (2, 2))
    x = ns.random(rng, (3, 2, 2, 2))
    p = power.from_coordinates(x, power.frame(iota))
    moved = ns.matmul(x, B.mT) + (ns.zeros((2,)) if c is None else c)
    assert ns.equal(p.coordinates(power.frame(kappa)), moved)
    # LG (2.12): linear part I (x) B, translation 1 (x) c; on the hull one homogeneous coordinate (E1).
    flat = ns.concat([ns.reshape(moved, (3, 8)), ns.ones((3, 1))], axis=1)
    hull = Hull(power)
    assert hull.dim == 9
    assert ns.equal(hull.of_point(p).coordinates(power.frame(kappa).hull), flat)
    phi = hull.dual.from_coordinates(ns.random(rng, (9,)), power.frame(iota).hull.dual)
    there = phi.coordinates(power.frame(kappa).hull.dual)
    assert ns.equal(phi(hull.of_point(p)), ns.sum(flat * there, axis=1))


def test_spreading_and_gathering_move_no_number():
    A = AffineSpace("A", 2)
    iota = A.frame("iota")
    power = PowerSpace(A, (2, 3))
    p = power.from_coordinates(np.arange(48.0).reshape(4, 2, 3, 2), power.frame(iota))
    points = power.spread(p)
    assert points.batch_shape == (4, 2, 3)
    assert points.coordinates(iota) is p.coordinates(power.frame(iota))
    assert np.array_equal(power.gather(points).coordinates(power.frame(iota)), p.coordinates(power.frame(iota)))


def test_a_power_of_a_product_has_one_array_for_every_factor():
    A, B = AffineSpace("A", 1), AffineSpace("B", 2)
    iota = A.frame("iota"), B.frame("iota")
    power = PowerSpace(ProductSpace(A, B), (2,))
    frame = power.frame(ProductSpace(A, B).frame(*iota))
    p = power.from_coordinates((np.zeros((3, 2, 1)), np.ones((3, 2, 2))), frame)
    assert p.batch_shape == (3,)
    assert power.spread(p).batch_shape == (3, 2)
    assert Hull(power).of_point(p).coordinates(frame.hull).tolist() == [[0, 1, 1, 0, 1, 1, 1]] * 3


def test_what_makes_no_sense_is_refused():
    A, B = AffineSpace("A", 2), AffineSpace("B", 2)
    iota = A.frame("iota")
    power = PowerSpace(A, (2,))
    with pytest.raises(ValuesError, match="positive ints"):
        PowerSpace(A, (0,))
    with pytest.raises(SpaceMismatchError, match="power of an affine space"):
        PowerSpace(A.direction, (2,))
    with pytest.raises(SpaceMismatchError, match="power of a vector space"):
        PowerVectorSpace(A, (2,))
    with pytest.raises(ShapeError, match="must have shape"):
        power.from_coordinates(np.zeros((3, 2)), power.frame(iota))
    points = A.from_coordinates(np.zeros((3, 2)), iota)
    with pytest.raises(ShapeError, match="one element for every place"):
        power.gather(points)
    with pytest.raises(SpaceMismatchError, match="gather needs elements"):
        power.gather(B.from_coordinates(np.zeros((2, 2)), B.frame("beta")))
    with pytest.raises(SpaceMismatchError, match="spread needs an element"):
        power.spread(points)
    assert floating is A.kind
