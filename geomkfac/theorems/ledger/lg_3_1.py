"""LG 3.1: how parameters and activation functions look in another basis, (3.3) and (3.4)."""

from __future__ import annotations

from geomkfac.arrays.array import Array
from geomkfac.maps import AffineMaps, CoordinatewiseMap, GenericMap, SmoothMap
from geomkfac.maps.activations.sigmoids import tanh
from geomkfac.spaces import AffineSpace, BaseFrame, Frame, Parameterization, Point, Vector
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, same
from geomkfac.theorems.engine.world import Sizes, World


def parameters_in_another_basis(world: World) -> Comparisons:
    """One affine map in two bases: ``W = Phi W' Omega`` and ``b = Phi W' gamma + Phi b' + tau``."""
    n, m = world.sizes.widths
    iota_A = AffineSpace("A", n, world.kind).frame("iota")
    iota_Z = AffineSpace("Z", m, world.kind).frame("iota")
    Omega, gamma = world.invertible(n, name="\\Omega"), world.array(n, name="\\gamma")
    Phi, tau = world.invertible(m, name="\\Phi"), world.array(m, name="\\tau")
    kappa_A = iota_A.change(world.for_frames(Omega), world.for_frames(gamma))
    kappa_Z = _with_change_to(world, iota_Z, Phi, tau)
    if world.planted("Phi leads from iota to kappa"):
        kappa_Z = iota_Z.change(world.for_frames(Phi), world.for_frames(tau))
    if world.planted("the origin of the activations stays"):
        kappa_A = iota_A.change(world.for_frames(Omega))

    maps = AffineMaps(iota_A.space, iota_Z.space)
    omega = maps.from_coordinates(world.array(m, n + 1), maps.frame(iota_A, iota_Z))
    in_iota = omega.coordinates(maps.frame(iota_A, iota_Z))
    in_kappa = omega.coordinates(maps.frame(kappa_A, kappa_Z))
    W_dagger, b_dagger = in_kappa[:, :-1], in_kappa[:, -1]
    yield same("W", in_iota[:, :-1], Phi @ W_dagger @ Omega)
    yield same("b", in_iota[:, -1], Phi @ (W_dagger @ gamma) + Phi @ b_dagger + tau)


def _with_change_to(world: World, iota: BaseFrame, Phi: Array, tau: Array) -> BaseFrame:
    """The frame from which ``y_iota = Phi y + tau`` leads to iota."""
    back = world.ns.inverse(Phi)
    return iota.change(world.for_frames(back), world.for_frames(-(back @ tau)))


def the_same_map_of_points(world: World) -> Comparisons:
    """In arrays alone: parameters made by (3.3) map the same points to the same points."""
    n, m = world.sizes.widths
    W_dagger, b_dagger = world.array(m, n), world.array(m)
    Omega, gamma, Phi, tau = world.invertible(n), world.array(n), world.invertible(m), world.array(m)
    translated = gamma * 0 if world.planted("activations not translated") else gamma

    W = Phi @ W_dagger @ Omega
    b = Phi @ (W_dagger @ translated) + Phi @ b_dagger + tau
    if world.planted("tau on the wrong side of Phi"):
        b = Phi @ (W_dagger @ gamma + b_dagger + tau)

    a = world.array(n)
    a_dagger = Omega @ a + gamma
    yield same("z = Phi z' + tau", W @ a + b, Phi @ (W_dagger @ a_dagger + b_dagger) + tau)


def activation_in_another_basis(world: World) -> Comparisons:
    """One smooth map rho in two bases: ``phi'(z') = Omega phi(Phi z' + tau) + gamma``, and its derivative."""
    (n,) = world.sizes.widths
    Z, A = AffineSpace("Z", n, world.kind), AffineSpace("A", n, world.kind)
    iota_Z, iota_A = Z.frame("iota"), A.frame("iota")
    Omega, gamma, Phi, tau = world.invertible(n), world.array(n), world.invertible(n), world.array(n)
    kappa_A = iota_A.change(world.for_frames(Omega), world.for_frames(gamma))
    kappa_Z = _with_change_to(world, iota_Z, Phi, tau)
    if world.planted("Omega leads from kappa to iota"):
        kappa_A = _with_change_to(world, iota_A, Omega, gamma)
    if world.planted("the origin of the pre-activations stays"):
        kappa_Z = _with_change_to(world, iota_Z, Phi, tau * 0)
    iota, kappa = Parameterization([iota_Z, iota_A]), Parameterization([kappa_Z, kappa_A])
    rho: SmoothMap = (
        GenericMap(iota_Z, iota_A, world.rng) if world.is_exact else CoordinatewiseMap(iota_Z, iota_A, "tanh")
    )

    z_dagger, v_dagger = world.array(world.sizes.data, n), world.array(world.sizes.data, n)
    point, vector = Z.from_coordinates(z_dagger, kappa), Z.direction.from_coordinates(v_dagger, kappa)
    phi_dagger, pushed_dagger = _in(rho, point, vector, kappa)

    point = Z.from_coordinates(z_dagger @ Phi.mT + tau, iota)
    vector = Z.direction.from_coordinates(v_dagger @ Phi.mT, iota)
    phi, pushed = _in(rho, point, vector, iota)
    yield same("values", phi_dagger, phi @ Omega.mT + gamma)
    yield same("derivatives", pushed_dagger, pushed @ Omega.mT)


def _in(rho: SmoothMap, point: Point, vector: Vector, frames: Parameterization) -> tuple[Array, Array]:
    """Value of rho and image of a vector under its derivative, in coordinates."""
    value, derivative = rho.linearize(point)
    return value.coordinates(frames), derivative.pushforward(vector).coordinates(frames)


def tanh_is_logistic_in_another_basis(world: World) -> Comparisons:
    """From logistic to tanh: pre-activations by x -> x/2, activations by x -> 2x - 1 (erratum E2)."""
    (n,) = world.sizes.widths
    ns, frames = world.ns, world.kind.default_namespace
    Z, A = AffineSpace("Z", n, world.kind), AffineSpace("A", n, world.kind)
    iota_Z, iota_A = Z.frame("iota"), A.frame("iota")
    half, twice, ones = frames.eye(n) / 2, frames.eye(n) * 2, frames.ones((n,))
    kappa_Z: Frame = iota_Z.change(half)
    kappa_A: Frame = iota_A.change(twice, -ones)
    if world.planted("the two nouns interchanged, as printed"):
        kappa_Z, kappa_A = iota_Z.change(twice, -ones), iota_A.change(half)
    logistic = CoordinatewiseMap(iota_Z, iota_A, "logistic")
    x = world.array(world.sizes.data, n)
    in_kappa = logistic(Z.from_coordinates(x, kappa_Z)).coordinates(kappa_A)
    yield same("the logistic map, read in the second bases", in_kappa, tanh.value(ns, x))


def tanh_from_the_exponential(world: World) -> Comparisons:
    """``tanh(x) = 2 logistic(2 x) - 1`` as an identity of rational functions of u = e^x."""
    u = world.array(world.sizes.data)
    logistic_of_2x = u * u / (u * u + 1)
    if world.planted("logistic(x) for logistic(2x)"):
        logistic_of_2x = u / (u + 1)
    shift = 0 if world.planted("not re-centred") else 1
    yield same("tanh(x) = 2 logistic(2x) - 1", (u - 1 / u) / (u + 1 / u), logistic_of_2x * 2 - shift)


PAIRS = (Sizes((1, 1)), Sizes((2, 2)), Sizes((4, 3)))
POINTS = (Sizes((1,)), Sizes((2,)), Sizes((3,), 4))
E2 = "the two nouns interchanged, as printed"

STATEMENTS = (
    Statement(
        id="LG-3.3",
        source="LG (3.3), A.3",
        title="how the parameters of a layer look in another basis",
        text=(
            "With (Omega gamma) the change from the first to the second basis of the activations, and (Phi tau) "
            "that from the second to the first of the pre-activations, one affine map has the parameters (W b) in "
            "the first bases and (W' b') in the second."
        ),
        latex=(
            r"\mathbf W=\Phi\mathbf W^\dagger\Omega,\qquad"
            r"\mathbf b=\Phi\mathbf W^\dagger\gamma+\Phi\mathbf b^\dagger+\tau"
        ),
        hypotheses=("Omega and Phi are invertible.",),
        checks=(
            Check("X", "coordinates of an affine map in two bases", parameters_in_another_basis, PAIRS, "GF(p)"),
            Check("X", "parameters made by (3.3) map the same points", the_same_map_of_points, PAIRS, "GF(p)"),
            Check("S", "coordinates of an affine map in two bases", parameters_in_another_basis, PAIRS[1:2], "symbols"),
            Check("N", "coordinates of an affine map in two bases", parameters_in_another_basis, PAIRS, "floating"),
            Check("N", "parameters made by (3.3) map the same points", the_same_map_of_points, PAIRS, "floating"),
        ),
        mutants=(
            Mutant("Phi leads from iota to kappa", parameters_in_another_basis, PAIRS[-1]),
            Mutant("the origin of the activations stays", parameters_in_another_basis, PAIRS[-1]),
            Mutant("activations not translated", the_same_map_of_points, PAIRS[-1]),
            Mutant("tau on the wrong side of Phi", the_same_map_of_points, PAIRS[-1]),
        ),
        objects=("maps.AffineMaps", "spaces.BaseFrame"),
    ),
    Statement(
        id="LG-3.4",
        source="LG (3.4), A.3, 3.1; erratum E2",
        title="how an activation function looks in another basis",
        text=(
            "An activation function that is phi in the first bases is Omega phi(Phi z + tau) + gamma in the second. "
            "So the logistic function becomes tanh: pre-activations by x -> x/2, activations by x -> 2x - 1, that "
            "is Phi = 2, tau = 0, Omega = 2, gamma = -1.  (The paper has these two interchanged: erratum E2.)"
        ),
        latex=r"\phi^\dagger(\mathbf z^\dagger)=\Omega\,\phi(\Phi\mathbf z^\dagger+\tau)+\gamma",
        hypotheses=("Omega and Phi are invertible.", "phi is differentiable at the points in question."),
        checks=(
            Check("X", "any smooth map in two bases", activation_in_another_basis, POINTS, "GF(p)"),
            Check("X", "tanh from logistic, in u = exp(x)", tanh_from_the_exponential, POINTS, "GF(p)"),
            Check("S", "any smooth map in two bases", activation_in_another_basis, POINTS[1:2], "symbols"),
            Check("N", "a smooth map in two bases", activation_in_another_basis, POINTS, "floating"),
            Check("N", "logistic read in other bases is tanh", tanh_is_logistic_in_another_basis, POINTS, "floating"),
            Check("C", "erratum E2, as printed", tanh_is_logistic_in_another_basis, POINTS, "floating", drops=E2),
        ),
        mutants=(
            Mutant("Omega leads from kappa to iota", activation_in_another_basis, POINTS[-1]),
            Mutant("the origin of the pre-activations stays", activation_in_another_basis, POINTS[-1]),
            Mutant("logistic(x) for logistic(2x)", tanh_from_the_exponential, POINTS[-1]),
            Mutant("not re-centred", tanh_from_the_exponential, POINTS[-1]),
        ),
        objects=("maps.CoordinatewiseMap", "maps.GenericMap"),
    ),
)
