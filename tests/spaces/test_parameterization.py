"""Parameterizations: a frame for every space that is built from the base spaces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, Kind, floating, rational
from geomkfac.errors import FrameError, ShapeError, SingularMatrixError
from geomkfac.maps import AffineMaps
from geomkfac.spaces import AffineSpace, Hom, Hull, Parameterization, ProductSpace, TensorProduct, VectorSpace
from geomkfac.testing import changes_of_basis, elements, parameterizations, points, spaces

KINDS = {"GF(p)": GF(2**31 - 1), "Q": rational, "floating": floating}
kind_parameter = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


@kind_parameter
@given(data=st.data())
def test_every_space_built_from_the_base_spaces_has_a_frame(kind: Kind, data: st.DataObject) -> None:
    space = data.draw(spaces(kind))
    kappa = data.draw(parameterizations([space]))
    assert kappa[space].space is space
    assert kappa[space] is kappa.frame_of(space)
    x = data.draw(elements(space, kappa))
    named, found = x.coordinates(kappa[space]), x.coordinates(kappa)
    assert named is found or all(a is b for a, b in zip(named, found, strict=True))


def test_derived_frames_are_those_of_the_chosen_frames() -> None:
    A, Z, V = AffineSpace("A", 2), AffineSpace("Z", 1), VectorSpace("V", 2)
    a, z, e = A.frame("a"), Z.frame("z"), V.frame("e")
    kappa = Parameterization([a, z, e])
    assert kappa[A] is a
    assert kappa[A.direction] is a.linear
    assert kappa[A.direction.dual] is a.dual
    assert kappa[Hull(A)] is a.hull
    assert kappa[Hull(A).dual] is a.hull.dual
    assert kappa[V.dual] is e.dual
    assert kappa[Hom(V, Hull(A))] is Hom(V, Hull(A)).frame(e, a.hull)
    assert kappa[TensorProduct(V, V.dual)] is TensorProduct(V, V.dual).frame(e, e.dual)
    assert kappa[AffineMaps(A, Z)] is AffineMaps(A, Z).frame(a, z)
    assert kappa[ProductSpace(A, Z)] is ProductSpace(A, Z).frame(a, z)
    assert list(kappa) == [A, Z, V]
    assert len(kappa) == 3


def test_a_space_without_a_frame_is_an_error_that_lists_those_that_have_one() -> None:
    A, Z = AffineSpace("A", 2), AffineSpace("Z", 1)
    kappa = Parameterization([A.frame("a")], name="kappa")
    with pytest.raises(FrameError) as refused:
        kappa[AffineMaps(A, Z)]
    assert str(refused.value) == (
        "Parameterization('kappa', 1 spaces) has no frame for AffineSpace('Z', dim=1).\n"
        "  it has frames for: AffineSpace('A', dim=2)\n"
        "Make a Parameterization that includes a frame of it."
    )


def test_a_parameterization_has_one_frame_of_a_base_space_each() -> None:
    A, Z = AffineSpace("A", 2), AffineSpace("Z", 1)
    a = A.frame("a")
    with pytest.raises(FrameError, match="one per space"):
        Parameterization([a, a.change(None)])
    with pytest.raises(FrameError, match="frames of base spaces, not of"):
        Parameterization([a.hull])  # type: ignore[list-item]
    with pytest.raises(FrameError, match="named as inputs or outputs"):
        Parameterization([a], inputs=Z)
    with pytest.raises(FrameError, match="indexed by a space, not by str"):
        Parameterization([a])["A"]  # type: ignore[index]


@kind_parameter
@given(data=st.data())
def test_a_change_is_relative_and_leaves_the_other_frames_alone(kind: Kind, data: st.DataObject) -> None:
    A, Z, ns = AffineSpace("A", 2, kind), AffineSpace("Z", 1, kind), kind.default_namespace
    iota = Parameterization([A.frame("a"), Z.frame("z")], inputs=A, outputs=Z)
    B, c = data.draw(changes_of_basis(2, kind))
    kappa = iota.change({A: (B, c)})
    p = data.draw(points(A, iota))
    assert ns.equal(p.coordinates(kappa), B @ p.coordinates(iota) + c)
    assert kappa[Z] is iota[Z]
    assert kappa.inputs is A
    assert kappa.outputs is Z
    again = kappa.change({A: (None, c)})
    assert ns.equal(p.coordinates(again), p.coordinates(kappa) + c)


def test_a_bad_change_is_refused() -> None:
    A, Z = AffineSpace("A", 2), AffineSpace("Z", 1)
    iota = Parameterization([A.frame("a")])
    with pytest.raises(FrameError, match="has no frame for"):
        iota.change({Z: (None, None)})
    with pytest.raises(ShapeError, match=r"a pair \(B, c\)"):
        iota.change({A: np.eye(2)})  # type: ignore[dict-item]
    with pytest.raises(SingularMatrixError, match="full rank"):
        iota.change({A: (np.zeros((2, 2)), None)})


@kind_parameter
@given(seed=st.integers(0, 2**32 - 1))
def test_a_random_parameterization_is_invertible_and_well_conditioned(kind: Kind, seed: int) -> None:
    A = AffineSpace("A", 3, kind)
    iota = Parameterization([A.frame("a")])
    kappa, again = (iota.random(np.random.default_rng(seed)) for _ in range(2))
    matrix, translation = kappa[A].change_from(iota[A])  # type: ignore[attr-defined]
    ns = kind.default_namespace
    assert ns.equal(matrix, again[A].change_from(iota[A])[0])  # type: ignore[attr-defined]
    assert not ns.is_zero(translation)
    assert ns.rank(matrix) == 3
    if kind is floating:
        # Columns of an orthogonal matrix times numbers from 1 to 10; QR rounds within a few epsilon.
        assert np.linalg.cond(matrix) <= 10 * (1 + 100 * ns.epsilon)
