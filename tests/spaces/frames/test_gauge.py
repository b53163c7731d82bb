"""Gauge fuzzing: honest programs return the same, and a planted leak of a hidden frame is caught."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from geomkfac.arrays import GF, Kind, floating, rational
from geomkfac.errors import GeomkfacError, ValuesError
from geomkfac.maps import AffineMaps
from geomkfac.spaces import AffineSpace, Hull, VectorSpace, gauge_fuzzing, tensor
from geomkfac.spaces.frames.gauge import random_change
from geomkfac.testing import LawViolatedError, check_gauge, integer_array

KINDS = {"GF(p)": GF(2**31 - 1), "Q": rational, "floating": floating}
kind_parameter = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
DIM = 2
# Six conversions of condition at most (10 * 12)² each way, on three slots, of numbers below 10.
RTOL = 6 * DIM * np.finfo(float).eps * (10 * 12) ** 2


def program(kind: Kind) -> Any:
    """Points, vectors, hulls, tensors and affine maps; coordinates in named frames alone."""
    ns = kind.default_namespace
    A, Z = AffineSpace("A", DIM, kind), AffineSpace("Z", DIM, kind)
    iota, zeta = A.frame("iota"), Z.frame("zeta")
    kappa = iota.change(integer_array(ns, [[1, 1], [0, 1]]), integer_array(ns, [1, -1]))
    p = A.from_coordinates(integer_array(ns, [[1, 2], [3, 4]]), iota)
    q = A.from_coordinates(integer_array(ns, [2, -1]), kappa)
    maps = AffineMaps(A, Z)
    w = maps.from_coordinates(integer_array(ns, [[1, 2, 3], [4, 5, 6]]), maps.frame(iota, zeta))
    v = p - q
    square = tensor(v, v)
    return (
        v.coordinates(kappa.linear),
        (q + v).coordinates(iota),
        Hull(A).of_point(p).coordinates(kappa.hull),
        Hull(A).weight(like=Hull(A).of_point(p)).coordinates(kappa.hull.dual),
        w(p).coordinates(zeta),
        maps.lift(w)(Hull(A).of_point(p)).coordinates(zeta.hull),
        square.coordinates(square.space.frame(iota.linear, kappa.linear)),  # type: ignore[attr-defined]
    )


@kind_parameter
def test_a_program_with_named_frames_alone_returns_the_same(kind: Kind) -> None:
    check_gauge(lambda: program(kind), np.random.default_rng(0), rtol=RTOL)


@kind_parameter
def test_dyadic_draws_change_no_bit(kind: Kind) -> None:
    check_gauge(lambda: program(kind), np.random.default_rng(1), draws="dyadic", runs=5)


def leak_components(kind: Kind) -> Any:
    """The sum of two vectors, read where they happen to be stored."""
    ns = kind.default_namespace
    V = VectorSpace("V", DIM, kind)
    v = V.from_coordinates(integer_array(ns, [1, 2]), V.frame("e"))
    return (v + v)._components


def leak_reference(kind: Kind) -> Any:
    """Coordinates in the private reference frame."""
    ns = kind.default_namespace
    V = VectorSpace("V", DIM, kind)
    v = V.from_coordinates(integer_array(ns, [1, 2]), V.frame("e"))
    return v.coordinates(V._reference_frame())


def leak_pseudo_inverse(kind: Kind) -> Any:
    """The minimum-norm solution of l(v) = 1, in the frame in which l happens to be stored."""
    ns = kind.default_namespace
    V = VectorSpace("V", DIM, kind)
    e = V.frame("e")
    covector = V.dual.from_coordinates(integer_array(ns, [1, 2]), e.dual)
    row = covector._components
    shortest = row / ns.sum(row * row)
    return V.from_components(covector.storage_frame.dual, shortest, ns).coordinates(e)


@kind_parameter
@pytest.mark.parametrize("draws", ["general", "dyadic"])
@pytest.mark.parametrize("leak", [leak_components, leak_reference, leak_pseudo_inverse])
def test_a_planted_leak_is_caught(leak: Any, draws: Any, kind: Kind) -> None:
    with pytest.raises(LawViolatedError, match="a hidden frame shows"):
        check_gauge(lambda: leak(kind), np.random.default_rng(2), draws=draws, rtol=RTOL)


def test_every_element_is_stored_in_a_random_frame_while_fuzzing() -> None:
    rng = np.random.default_rng(3)
    with gauge_fuzzing(rng):
        A = AffineSpace("A", 2)
        iota = A.frame("iota")
        p = A.from_coordinates(np.ones(2), iota)
        stored = {id((p + (p - p)).storage_frame) for _ in range(20)}
    assert id(iota) not in stored
    assert len(stored) > 1
    after = A.from_coordinates(np.ones(2), iota)
    assert after.storage_frame is iota


def test_fuzzing_ends_with_its_body_even_where_that_fails() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ZeroDivisionError), gauge_fuzzing(rng):
        raise ZeroDivisionError
    with gauge_fuzzing(rng), pytest.raises(GeomkfacError, match="active already"), gauge_fuzzing(rng):
        pass
    with pytest.raises(ValuesError, match="'general' or 'dyadic'"), gauge_fuzzing(rng, "wild"):  # type: ignore[arg-type]
        pass


@kind_parameter
def test_dyadic_changes_are_powers_of_two_on_the_diagonal(kind: Kind) -> None:
    ns = kind.default_namespace
    change = random_change(VectorSpace("V", 3, kind), np.random.default_rng(0), "dyadic")
    assert ns.equal(change.matrix @ change.inverse, ns.eye(3))
    assert ns.equal(change.matrix, ns.diagonal(change.matrix)[:, None] * ns.eye(3))
