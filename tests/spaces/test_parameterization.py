"""Parameterizations: a frame for every space that is built from the base spaces; and what those made of one are for."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, Kind, floating, rational
from geomkfac.errors import DegenerateMetricError, FrameError, ShapeError, SingularMatrixError
from geomkfac.maps import AffineMaps
from geomkfac.metrics import DenseTensor, DirectSumTensor, KroneckerTensor
from geomkfac.metrics.independence import second_moment
from geomkfac.spaces import (
    AffineSpace,
    Hom,
    Hull,
    Parameterization,
    PowerSpace,
    ProductSpace,
    TensorProduct,
    VectorSpace,
)
from geomkfac.testing import changes_of_basis, elements, integer_array, parameterizations, points, spaces

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


# -- what gives them their names ---------------------------------------------------------------------------------
def factored(kind: Kind, seed: int, *, places: int | None = None, flat: bool = False) -> tuple[Any, Any]:
    """The tensor of a layer from A, or A^K, to Z with 9 data, in frames that are not those of its parameterization.

    `flat` ones have activations on a line and a form on TZ of rank 1.
    """
    ns, rng = kind.default_namespace, np.random.default_rng(seed)
    A, Z = AffineSpace("A", 2, kind), AffineSpace("Z", 2, kind)
    iota = Parameterization([A.frame("a"), Z.frame("z")])
    inputs: Any = A if places is None else PowerSpace(A, (places,))
    X = rng.integers(-4, 5, (9, *((places,) if places else ()), 2)) + 3
    X[..., 1] = 2 * X[..., 0] + 1 if flat else X[..., 1]
    B = integer_array(ns, [[2, 1], [1, 3]] if not flat else [[1, 2], [2, 4]])
    moment = second_moment(inputs.from_coordinates(integer_array(ns, X), iota))
    return KroneckerTensor(moment, DenseTensor.from_coordinates(B, iota[Z].linear)), iota


def means(g: Any, kappa: Any) -> list[Any]:
    """The mean activation of every layer in a parameterization, summed over places."""
    found = []
    for activations, _ in g.kronecker_factors():
        inputs = activations.space.of.of
        row, n = activations.coordinates(kappa[inputs].hull.dual)[-1, :], getattr(inputs, "base", inputs).dim
        first, *others = (row[start : start + n] / row[-1] for start in range(0, inputs.dim, n))
        found.append(sum(others, first))
    return found


@kind_parameter
@pytest.mark.parametrize("places", [None, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_centred_means_are_zero_and_centred_directions_are_the_old_ones(
    kind: Kind, places: int | None, seed: int
) -> None:
    g, iota = factored(kind, seed, places=places)
    ns = kind.default_namespace
    for base in (iota, iota.random(np.random.default_rng(seed))):
        kappa = base.centered(g)
        (mean,) = means(g, kappa)
        (before,) = means(g, base)
        if kind.is_exact:
            assert ns.is_zero(mean)
        else:
            # Means of 9 data, whose coordinates are at most 20, three places and a change of basis of condition 10.
            assert np.abs(mean).max() <= 64 * ns.epsilon * 20 * 10
            assert np.abs(before).max() > 0.1
        for space in base:
            B, c = kappa[space].change_from(base[space])  # type: ignore[attr-defined]
            assert ns.equal(B, ns.eye(2))
            assert ns.is_zero(c) is (space is not next(iter(iota)))


@kind_parameter
def test_of_two_layers_on_one_space_the_first_is_centred(kind: Kind) -> None:
    g, iota = factored(kind, 0)
    A, _ = iota
    ns = kind.default_namespace
    again: Any = A.from_coordinates(integer_array(ns, [[1, 2], [3, 5]]), iota)
    both = DirectSumTensor(g, KroneckerTensor(second_moment(again), g.codomain_form))
    first, second = means(both, iota.centered(both))
    bound = 0.0 if kind.is_exact else 64 * ns.epsilon * 10
    assert ns.is_zero(first) or np.abs(first).max() <= bound
    assert not ns.is_zero(second)


def moments_in(g: Any, kappa: Any) -> tuple[Any, Any]:
    """The matrices of both forms."""
    return g.domain_form.coordinates(kappa[g.domain_form.space.of.of].hull.dual), g.codomain_form.coordinates(kappa)


@pytest.mark.parametrize("root", ["symmetric", "cholesky"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_whitened_second_moments_are_the_identity_and_the_root_is_the_one_named(root: Any, seed: int) -> None:
    g, iota = factored(floating, seed)
    base = iota.random(np.random.default_rng(seed))
    kappa = base.whitened(g, root=root)
    for plain, white in zip(moments_in(g, base), moments_in(g, kappa), strict=True):
        # A root and its inverse, and products of three matrices.
        allowed = 64 * floating.default_namespace.epsilon * np.linalg.cond(plain)
        assert np.abs(white - np.eye(len(white))).max() <= allowed
    for space in base:
        B, _ = kappa[space].change_from(base[space])  # type: ignore[attr-defined]
        if root == "symmetric":
            assert np.abs(B - B.T).max() <= 64 * floating.default_namespace.epsilon * np.abs(B).max() * 100
            assert np.linalg.eigvalsh(B).min() > 0
        else:
            triangle = np.tril(B) if space is next(iter(base)) else np.triu(B)
            assert np.abs(triangle - B).max() <= 64 * floating.default_namespace.epsilon * np.abs(B).max() * 100
            assert np.diag(B).min() > 0


def test_whitened_at_places_the_mean_of_the_blocks_is_the_identity() -> None:
    g, iota = factored(floating, 0, places=3)
    kappa = iota.whitened(g)
    A, _ = moments_in(g, kappa)
    blocks = [A[2 * place : 2 * place + 2, 2 * place : 2 * place + 2] for place in range(3)]
    assert np.abs(sum(blocks) / 3 - np.eye(2)).max() <= 1000 * floating.default_namespace.epsilon
    assert np.abs(means(g, kappa)[0]).max() <= 1000 * floating.default_namespace.epsilon


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_whitened_degenerate_factor_is_a_projection_and_null_directions_keep_the_lengths_of_the_norm(
    seed: int,
) -> None:
    g, iota = factored(floating, seed, flat=True)
    with pytest.raises(DegenerateMetricError):
        iota.whitened(g)
    norm = iota.random(np.random.default_rng(seed))
    kappa, epsilon = iota.whitened(g, norm=norm.euclidean), floating.default_namespace.epsilon
    A, G = moments_in(g, kappa)
    for matrix, rank in ((A, 2), (G, 1)):
        # Of a condition below 1e4, in a basis of condition 10 at most.
        zeros_and_ones = [0.0] * (len(matrix) - rank) + [1.0] * rank
        assert np.abs(np.linalg.eigvalsh(matrix) - zeros_and_ones).max() <= 1e6 * epsilon
    null = g.codomain_form.radical.basis()[0]
    lengths = [np.linalg.norm(null.coordinates(frames)) for frames in (kappa, norm, iota)]
    assert abs(lengths[0] / lengths[1] - 1) <= 1e6 * epsilon
    assert lengths[1] != lengths[2]


@kind_parameter
@pytest.mark.parametrize("seed", [0, 1])
def test_the_euclidean_norm_is_that_in_which_its_frames_are_orthonormal(kind: Kind, seed: int) -> None:
    """Coordinates of the smallest solution are orthogonal to those of all that the metric cannot see."""
    ns, rng = kind.default_namespace, np.random.default_rng(seed)
    A = AffineSpace("A", 3, kind)
    iota = Parameterization([A.frame("a")])
    kappa = iota.change({A: (integer_array(ns, [[1, 2, 0], [0, 1, 1], [0, 0, 1]]), None)})
    row = integer_array(ns, rng.integers(1, 5, (1, 3)))
    g = DenseTensor.from_coordinates(row.mT @ row, iota[A].linear)
    covector = g.flat(A.direction.from_coordinates(integer_array(ns, [1, 1, 1]), iota))
    for frames in (iota, kappa):
        solution = g.minimal_solution(covector, norm=frames.euclidean)
        x, null = solution.coordinates(frames), g.radical.basis().coordinates(frames)
        product = ns.matmul(null, x[:, None])
        if kind.is_exact:
            assert g.flat(solution) == covector
            assert ns.is_zero(product)
        else:
            assert np.abs(product).max() <= 1000 * ns.epsilon * np.abs(x).max() * np.abs(null).max()


PROPERTIES = {
    "change": test_a_change_is_relative_and_leaves_the_other_frames_alone,
    "random": test_a_random_parameterization_is_invertible_and_well_conditioned,
    "centered": test_centred_means_are_zero_and_centred_directions_are_the_old_ones,
    "whitened": test_whitened_second_moments_are_the_identity_and_the_root_is_the_one_named,
    "euclidean": test_the_euclidean_norm_is_that_in_which_its_frames_are_orthonormal,
}
"""What a parameterization makes of itself, and the test of what gives it its name."""


def test_whatever_a_parameterization_makes_has_a_test_of_what_gives_it_its_name() -> None:
    made = set()
    for name, member in inspect.getmembers(Parameterization):
        function = member.fget if isinstance(member, property) else member
        if inspect.isfunction(function) and not name.startswith("_"):
            made |= {name} if function.__annotations__["return"] in ("Parameterization", "Euclidean") else set()
    assert made == set(PROPERTIES)
