"""LG 2.2 and appendix A.1, A.2: duals, affine spaces, products, tangent spaces, tensors."""

from __future__ import annotations

from typing import Any

from geomkfac.arrays.array import Array
from geomkfac.errors import FrameError, SpaceMismatchError
from geomkfac.spaces import (
    AffineSpace,
    BaseFrame,
    Direction,
    Hom,
    Hull,
    LinearSpace,
    ProductSpace,
    TensorProduct,
    Vector,
    VectorSpace,
    affine_combination,
    dual_of_tensor,
    swap,
    tensor,
    tensor_as_hom,
)
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, given, refuses, same
from geomkfac.theorems.engine.world import Sizes, World


def two_frames(world: World, space: Any) -> tuple[BaseFrame, BaseFrame, Array, Array]:
    """Frames iota and kappa of a base space, and the change ``y = B x + c`` between them (c = 0 for vectors)."""
    n = space.dim
    iota = space.frame("iota")
    B, c = world.invertible(n, name="B"), world.array(n, name="c")
    if isinstance(space, AffineSpace):
        return iota, iota.change(world.for_frames(B), world.for_frames(c)), B, c
    return iota, iota.change(world.for_frames(B)), B, c * 0


# -- duals ---------------------------------------------------------------------------------------------------
def twice_dual(world: World) -> Comparisons:
    """``V** = V``: a vector, taken as a function on covectors, is itself, in whatever frames."""
    (n,) = world.sizes.widths
    V = VectorSpace("V", n, world.kind)
    iota, kappa, _, _ = two_frames(world, V)
    v = V.from_coordinates(world.array(n, name="v"), iota)
    phi = V.dual.from_coordinates(world.array(n, name="\\varphi"), kappa.dual)
    yield same("the space", V.dual.dual is V, True)
    yield same("v(phi) = phi(v)", v(phi), phi(v))
    left = world.ns.sum(v.coordinates(kappa) * phi.coordinates(kappa.dual))
    if world.planted("components in two different frames"):
        left = world.ns.sum(v.coordinates(iota) * phi.coordinates(kappa.dual))
    yield same("in coordinates", left, phi(v))


def dual_by_a_basis(world: World) -> Comparisons:
    """``V -> V*`` by equal components in a frame gives the same covector in every frame: it does not."""
    (n,) = world.sizes.widths
    V = VectorSpace("V", n, world.kind)
    iota, kappa, _, _ = two_frames(world, V)
    v = V.from_coordinates(world.array(n, name="v"), iota)
    by_iota, by_kappa = (V.dual.from_coordinates(v.coordinates(e), e.dual) for e in (iota, kappa))
    yield same("the image of v", by_iota, by_kappa, iota.dual)


# -- affine spaces -------------------------------------------------------------------------------------------
def affine_axioms(world: World) -> Comparisons:
    """``(p + u) + v = p + (u + v)``, ``p + (q - p) = q``, and combinations of weight 1; in whatever frames."""
    (n,) = world.sizes.widths
    A = AffineSpace("A", n, world.kind)
    iota, kappa, _, _ = two_frames(world, A)
    p, q = A.from_coordinates(world.array(n, name="p"), iota), A.from_coordinates(world.array(n, name="q"), kappa)
    u, v = (
        A.direction.from_coordinates(world.array(n, name=name), e.linear) for name, e in (("u", iota), ("v", kappa))
    )
    t = world.number("t")
    moved = p + v if world.planted("u left out") else (p + u) + v
    yield same("(p + u) + v = p + (u + v)", moved, p + (u + v), kappa)
    difference = p - q if world.planted("p - q for q - p") else q - p
    yield same("p + (q - p) = q", p + difference, q, iota)
    both = A.from_coordinates(world.ns.stack([p.coordinates(kappa), q.coordinates(kappa)]), kappa)
    combination = affine_combination(both, world.ns.stack([t * -1 + 1, t]))
    yield same("(1 - t) p + t q = p + t (q - p)", combination, p + (q - p) * t, kappa)


def affine_change_of_basis(world: World) -> Comparisons:
    """Two frames are related by ``y = B x + c``; differences by B alone."""
    (n,) = world.sizes.widths
    A = AffineSpace("A", n, world.kind)
    iota, kappa, B, c = two_frames(world, A)
    x = world.array(n, name="x")
    p, q = A.from_coordinates(x, iota), A.from_coordinates(world.array(n), iota)
    y = B @ x if world.planted("translation left out") else B @ x + c
    yield same("a point", p.coordinates(kappa), y)
    d = (q - p).coordinates(iota.linear)
    yield same(
        "a vector", (q - p).coordinates(kappa.linear), B @ d + c if world.planted("vectors translated") else B @ d
    )
    hull = Hull(A).of_point(p).coordinates(kappa.hull)
    yield same("the homogeneous vector", hull, world.ns.concat([B @ x + c, world.ns.ones((1,))]))


# -- powers --------------------------------------------------------------------------------------------------
def change_of_basis_on_a_power(world: World) -> Comparisons:
    """On A^K the change of basis is ``y = (I (x) B) x + 1 (x) c``, with ONE homogeneous coordinate (erratum E1)."""
    (n,), K = world.sizes.widths, world.sizes["factors"]
    ns = world.ns
    A = AffineSpace("A", n, world.kind)
    power = ProductSpace(*[A] * K)
    iota, kappa, B, c = two_frames(world, A)
    X = world.array(K, n, name="x")
    p = power.from_coordinates([X[k, :] for k in range(K)], power.frame(*[iota] * K))
    y = ns.concat(list(p.coordinates(power.frame(*[kappa] * K))))
    x = ns.reshape(X, (K * n,))
    linear, translation = ns.kron(ns.eye(K), B), ns.kron(ns.ones((K, 1)), c[:, None])[:, 0]
    if world.planted("B (x) I"):
        linear = ns.kron(B, ns.eye(K))
    if world.planted("translation of the first factor alone"):
        translation = ns.concat([c, ns.zeros(((K - 1) * n,))])
    yield same("stacked coordinates", y, linear @ x + translation)
    hull = Hull(power)
    yield same("size of the hull", hull.dim, K * n + 1)
    there = hull.of_point(p).coordinates(power.frame(*[kappa] * K).hull)
    yield same("homogeneous vector", there, ns.concat([linear @ x + translation, ns.ones((1,))]))


def stacked_homogeneous_vectors(world: World) -> Comparisons:
    """(2.12) itself: the K homogeneous vectors [a; 1], stacked, are changed by ``I (x) [B c; 0 1]``."""
    (n,), K = world.sizes.widths, world.sizes["factors"]
    ns = world.ns
    A = AffineSpace("A", n, world.kind)
    iota, kappa, B, c = two_frames(world, A)
    points = A.from_coordinates(world.array(K, n, name="x"), iota)
    hulls = Hull(A).of_point(points)
    bordered = ns.concat(
        [ns.concat([B, c[:, None]], axis=1), ns.concat([ns.zeros((1, n)), ns.ones((1, 1))], axis=1)], axis=0
    )
    x, y = (ns.reshape(hulls.coordinates(e.hull), (K * (n + 1),)) for e in (iota, kappa))
    if world.planted("B c without the last row"):
        bordered = ns.concat([bordered[:-1, :], bordered[-1:, :] * 0], axis=0)
    yield same("stacked homogeneous vectors", y, ns.kron(ns.eye(K), bordered) @ x)


# -- tangent spaces ------------------------------------------------------------------------------------------
def tangent_spaces(world: World) -> Comparisons:
    """``T_p V = V`` and ``T_a A`` is the same space, the direction of A, at every point a: curves through both."""
    (n,) = world.sizes.widths
    ns = world.ns
    A, V = AffineSpace("A", n, world.kind), VectorSpace("V", n, world.kind)
    iota, kappa, B, _ = two_frames(world, A)
    yield same("T V is V", V.direction is V, True)
    p, q = (A.from_coordinates(world.array(n, name=name), iota) for name in "pq")
    v = A.direction.from_coordinates(world.array(n, name="v"), iota.linear)
    h, k = world.number("h"), world.number("k")
    # The velocity of t -> p + t v, from two of its points: the same vector at p and at q, whatever the times.
    velocities = [((base + v * h) - (base + v * k)) * (ns.ones(()) / (h - k)) for base in (p, q)]
    if world.planted("velocity in coordinates with the translation"):
        shifted = A.from_coordinates(v.coordinates(iota.linear), iota).coordinates(kappa)
        velocities[1] = A.direction.from_coordinates(shifted, kappa.linear)
    yield same("at p and at q", velocities[0], velocities[1], kappa.linear)
    expected = (
        v.coordinates(iota.linear) if world.planted("components in the wrong frame") else B @ v.coordinates(iota.linear)
    )
    yield same("in the second frame", velocities[0].coordinates(kappa.linear), expected)


# -- tensors -------------------------------------------------------------------------------------------------
def tensors_and_maps(world: World) -> Comparisons:
    """``U* (x) V = Hom(U, V)``, ``U* (x) V* = (U (x) V)*``, whatever the frames; contraction and composition."""
    n, m = world.sizes.widths
    U, V = VectorSpace("U", n, world.kind), VectorSpace("V", m, world.kind)
    (e, f, _, _), (g, h, _, _) = two_frames(world, U), two_frames(world, V)
    phi, psi = U.dual.from_coordinates(world.array(n), e.dual), V.dual.from_coordinates(world.array(m), g.dual)
    u, v = U.from_coordinates(world.array(n, name="u"), f), V.from_coordinates(world.array(m, name="v"), h)
    as_hom, as_dual = tensor_as_hom(U, V), dual_of_tensor(U, V)
    rank_one = as_hom(tensor(phi, v))
    image = v * phi(u) if not world.planted("phi(u) left out") else v
    yield same("(phi (x) v)(u) = phi(u) v", rank_one(u), image, g)
    value = phi(u) * psi(v)
    if world.planted("slots exchanged"):
        value = value + phi(u)
    form: Vector = as_dual(tensor(phi, psi))
    yield same("(phi (x) psi)(u (x) v) = phi(u) psi(v)", form(tensor(u, v)), value)
    back = as_hom.inverse(rank_one)
    yield same("and back", back, tensor(phi, v), TensorProduct(U.dual, V).frame(f.dual, h))
    yield same("matrix of phi (x) v", rank_one.coordinates(Hom(U, V).frame(f, h)),
               v.coordinates(h)[:, None] * phi.coordinates(f.dual)[None, :])  # fmt: skip


def relations_of_the_tensor_product(world: World) -> Comparisons:
    """Bilinear: ``(u + s u') (x) v = u (x) v + s u' (x) v``, the same in v; and the swap is an isomorphism."""
    n, m = world.sizes.widths
    U, V = VectorSpace("U", n, world.kind), VectorSpace("V", m, world.kind)
    (e, f, _, _), (g, h, _, _) = two_frames(world, U), two_frames(world, V)
    u, w = (U.from_coordinates(world.array(n, name=name), frame) for name, frame in (("u", e), ("w", f)))
    v, x = (V.from_coordinates(world.array(m, name=name), frame) for name, frame in (("v", g), ("x", h)))
    s = world.number("s")
    frame = TensorProduct(U, V).frame(f, g)
    other = tensor(w, v) * s if not world.planted("not homogeneous") else tensor(w, v)
    yield same("additive and homogeneous in the first factor", tensor(u + w * s, v), tensor(u, v) + other, frame)
    yield same("in the second", tensor(u, v + x * s), tensor(u, v) + tensor(u, x) * s, frame)
    yield same("a scalar moves", tensor(u * s, v), tensor(u, v * s), frame)
    yield same("swap", swap(U, V)(tensor(u, v)), tensor(v, u), TensorProduct(V, U).frame(h, e))


def outer_product_is_symmetric(world: World) -> Comparisons:
    """``u (x) w = w (x) u`` in ``U (x) U``: it is not."""
    n, _ = world.sizes.widths
    U = VectorSpace("U", n, world.kind)
    e, f, _, _ = two_frames(world, U)
    u, w = (U.from_coordinates(world.array(n, name=name), e) for name in "uw")
    yield given("both live in U (x) U", tensor(u, w).space is tensor(w, u).space, True)
    yield same("u (x) w and w (x) u", tensor(u, w), tensor(w, u), TensorProduct(U, U).frame(f, f))


def spaces_are_kept_apart(world: World) -> Comparisons:
    """A frame of a space is refused by its dual, a vector of one space by another: types are checked."""
    n, _ = world.sizes.widths
    A, U = AffineSpace("A", n, world.kind), VectorSpace("U", n, world.kind)
    iota, e = A.frame("iota"), U.frame("e")
    p, u = A.from_coordinates(world.array(n), iota), U.from_coordinates(world.array(n), e)
    direction: LinearSpace = A.direction if not world.planted("the right space") else U
    v = direction.from_coordinates(world.array(n), iota.linear if isinstance(direction, Direction) else e)
    yield refuses("u + v, of two spaces", SpaceMismatchError, lambda: u + v)
    yield refuses("p + u, of another space", SpaceMismatchError, lambda: p + u)
    yield refuses("coordinates of u in a frame of U*", FrameError, lambda: u.coordinates(e.dual))


LINE = (Sizes((1,)), Sizes((2,)), Sizes((4,)))
PLANE = (Sizes((2,)), Sizes((3,)))
POWERS = (
    Sizes((1,), extra=(("factors", 2),)),
    Sizes((2,), extra=(("factors", 2),)),
    Sizes((3,), extra=(("factors", 4),)),
)
PAIRS = (Sizes((1, 1)), Sizes((2, 2)), Sizes((2, 3)))
SYMBOLIC = (Sizes((2, 2)),)

STATEMENTS = (
    Statement(
        id="LG-2.2.2",
        source="LG 2.2.2",
        title="V -> V** is canonical; V -> V* by a basis is not",
        text=(
            "A vector is a function on covectors, with no choice of basis; components copied to V* depend on the basis."
        ),
        latex=r"v\mapsto(\varphi\mapsto\varphi(v)),\qquad V\cong V^{**}",
        hypotheses=("V has finite dimension.",),
        checks=(
            Check("X", "a vector as a function on covectors", twice_dual, LINE, "GF(p)"),
            Check("C", "equal components in two bases", dual_by_a_basis, LINE, "GF(p)"),
        ),
        mutants=(Mutant("components in two different frames", twice_dual, LINE[-1]),),
        objects=("spaces.VectorSpace", "spaces.Dual"),
    ),
    Statement(
        id="LG-2.2.3",
        source="LG 2.2.3",
        title="affine spaces, and their changes of basis",
        text="Points and vectors obey the axioms of an affine space; two affine bases are related by y = B x + c.",
        latex=r"(p+u)+v=p+(u+v),\qquad p+(q-p)=q,\qquad[\![p]\!]_\kappa=B[\![p]\!]_\iota+c",
        hypotheses=("B is invertible.",),
        checks=(
            Check("X", "axioms", affine_axioms, LINE, "GF(p)"),
            Check("X", "change of basis", affine_change_of_basis, LINE, "GF(p)"),
            Check("X", "other spaces are refused", spaces_are_kept_apart, PAIRS[1:2], "GF(p)"),
        ),
        mutants=(
            Mutant("u left out", affine_axioms, LINE[-1]),
            Mutant("p - q for q - p", affine_axioms, LINE[-1]),
            Mutant("translation left out", affine_change_of_basis, LINE[-1]),
            Mutant("vectors translated", affine_change_of_basis, LINE[-1]),
            Mutant("the right space", spaces_are_kept_apart, PAIRS[1]),
        ),
        objects=("spaces.AffineSpace", "spaces.Hull", "spaces.affine_combination"),
    ),
    Statement(
        id="LG-2.12",
        source="LG (2.12); erratum E1",
        title="changes of basis on a power of an affine space",
        text=(
            "On A^K the change of basis has the linear part I (x) B and the translation 1 (x) c.  The K homogeneous "
            "vectors, stacked, are changed by I (x) [B c; 0 1]; that is no change of homogeneous coordinates of A^K."
        ),
        latex=r"[\![p]\!]_\kappa=(I\otimes B)[\![p]\!]_\iota+\mathbf 1\otimes c",
        hypotheses=("B is invertible.",),
        checks=(
            Check("X", "on the product", change_of_basis_on_a_power, POWERS, "GF(p)"),
            Check("X", "stacked homogeneous vectors", stacked_homogeneous_vectors, POWERS, "GF(p)"),
        ),
        mutants=(
            Mutant("B (x) I", change_of_basis_on_a_power, POWERS[-1]),
            Mutant("translation of the first factor alone", change_of_basis_on_a_power, POWERS[-1]),
            Mutant("B c without the last row", stacked_homogeneous_vectors, POWERS[-1]),
        ),
        objects=("spaces.ProductSpace", "spaces.Hull"),
    ),
    Statement(
        id="LG-TA.1/LG-CA.2",
        source="LG Theorem A.1, Corollary A.2",
        title="tangent spaces of vector and affine spaces",
        text=(
            "The tangent space of a vector space is that space; of an affine space, its direction, at every point the "
            "same."
        ),
        latex=r"T_pV\cong V,\qquad T_aA\cong V_A",
        hypotheses=("None.",),
        checks=(
            Check("X", "velocities of lines", tangent_spaces, LINE, "GF(p)"),
            Check("S", "velocities of lines", tangent_spaces, PLANE[:1], "symbols"),
        ),
        mutants=(
            Mutant("velocity in coordinates with the translation", tangent_spaces, LINE[-1]),
            Mutant("components in the wrong frame", tangent_spaces, LINE[-1]),
        ),
        objects=("spaces.AffineSpace", "spaces.VectorSpace", "spaces.Direction"),
    ),
    Statement(
        id="LG-A.1/LG-A.2",
        source="LG (A.1), (A.2)",
        title="tensors as maps, and as forms",
        text=(
            "U* (x) V is the space of linear maps from U to V, and U* (x) V* that of forms on U (x) V; the tensor "
            "product "
            "is bilinear, and not symmetric in its factors."
        ),
        latex=r"U^*\otimes V\cong\operatorname{Hom}(U,V),\qquad U^*\otimes V^*\cong(U\otimes V)^*",
        hypotheses=("U and V have finite dimension.",),
        checks=(
            Check("X", "the two isomorphisms", tensors_and_maps, PAIRS, "GF(p)"),
            Check("X", "relations", relations_of_the_tensor_product, PAIRS, "GF(p)"),
            Check("S", "the two isomorphisms", tensors_and_maps, SYMBOLIC, "symbols"),
            Check("S", "relations", relations_of_the_tensor_product, SYMBOLIC, "symbols"),
            Check("C", "the outer product is symmetric", outer_product_is_symmetric, PAIRS[1:], "GF(p)"),
        ),
        mutants=(
            Mutant("phi(u) left out", tensors_and_maps, PAIRS[-1]),
            Mutant("slots exchanged", tensors_and_maps, PAIRS[-1]),
            Mutant("not homogeneous", relations_of_the_tensor_product, PAIRS[-1]),
        ),
        objects=("spaces.TensorProduct", "spaces.Hom", "spaces.tensor_as_hom", "spaces.dual_of_tensor", "spaces.swap"),
    ),
)
