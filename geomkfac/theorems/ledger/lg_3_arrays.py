"""LG 3.2 and 3.4 once more with every draw in the open, for certificates.

Each check draws arrays in the order in which its docstring names them, and nothing else, so that a
program of its own can draw them again (docs/certificates.md) and compute both sides with other code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.maps import AffineMaps
from geomkfac.metrics import CovectorMetric, ExpectedMetric, IndependenceMetric, PullbackMetric
from geomkfac.spaces import AffineSpace, Parameterization, Point, Vector
from geomkfac.theorems.engine.statement import Comparisons, same
from geomkfac.theorems.engine.world import World
from geomkfac.theorems.instances.smooth_functions import activation, loss
from geomkfac.theorems.instances.textbook.fully_connected import (
    MatrixNetwork,
    backward,
    forward,
    homogeneous,
    weighted_squares,
)
from geomkfac.theorems.ledger.lg_2_1_fisher import flattened, unflattened


def natural_gradient_in_two_bases_of_all_weights(world: World) -> Comparisons:
    """``w <- w - eps F^{-1} grad`` and the same in ``w' = B w + c``, F the exact Fisher matrix of all weights.

    Draws: W_bar of every layer, B, c, inputs x, eps; then, as they are met, values and derivatives of the
    activations layer by layer, the output metric's weights and covectors, the loss differential.
    """
    ns, widths, count = world.ns, world.sizes.widths, world.sizes.data
    shapes = [(m, n + 1) for m, n in zip(widths[1:], widths[:-1], strict=True)]
    size = sum(m * n for m, n in shapes)
    w = flattened(world, [world.array(m, n, name="W") for m, n in shapes])
    phis = tuple(activation(world) for _ in shapes)
    h = loss(world, widths[-1])
    B, c = world.invertible(size, name="B"), world.array(size, name="c")
    x = world.array(count, widths[0], name="x")
    rate = world.number("epsilon") if world.is_exact else ns.scalar(0.01)
    back = ns.inverse(B)
    w_dagger = B @ w + c
    for step in range(1, world.sizes.steps + 1):
        F, gradient = _fisher_and_gradient(world, MatrixNetwork(tuple(unflattened(world, w, shapes)), phis, h), x)
        w = w - rate * ns.solve(F, gradient[:, None])[:, 0]

        there = MatrixNetwork(tuple(unflattened(world, back @ (w_dagger - c), shapes)), phis, h)
        F, gradient = _fisher_and_gradient(world, there, x)
        # d/dw' = B^{-T} d/dw on covectors, and so F' = B^{-T} F B^{-1}.
        F, gradient = back.mT @ F @ back, back.mT @ gradient
        if world.planted("gradient descent"):
            F = ns.eye(size)
        if world.planted("F not transformed"):
            F = B.mT @ F @ B
        if world.planted("damping by gamma I"):
            F = F + ns.eye(size)
        w_dagger = w_dagger - rate * ns.solve(F, gradient[:, None])[:, 0]
        yield same(f"w' = B w + c after step {step}", w_dagger, B @ w + c)


def _fisher_and_gradient(world: World, network: MatrixNetwork, x: Array) -> tuple[Array, Array]:
    """``E[sum_k c_k Dw_k Dw_k^T]`` and ``E[Dw]``, ``Dw = vec(Dz a_bar^T)`` of every layer, one under the other."""
    ns, count = world.ns, x.shape[0]
    batch = forward(ns, network, x)
    weights, covectors = network.loss.metric(batch.activations[-1])
    a_bar = [homogeneous(ns, a) for a in batch.activations[:-1]]

    def stacked(Dz: list[Array]) -> Array:
        """Rows Dw, (K, N, d); vec stacks columns."""
        K = Dz[0].shape[0]
        products = (a[None, :, :, None] * D[:, :, None, :] for a, D in zip(a_bar, Dz, strict=True))
        parts = [ns.reshape(product, (K, count, -1)) for product in products]
        return ns.concat(parts, axis=-1)

    rows = stacked(backward(network, batch, covectors))
    F = weighted_squares(ns, weights, rows) / count
    differential = network.loss.differential(batch.activations[-1])
    gradient = ns.sum(stacked(backward(network, batch, differential[None, ...])), axis=(0, 1)) / count
    return F, gradient


@final
@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer of the package, and the arrays it was made from."""

    W: AffineMaps
    iota: Parameterization
    kappa: Parameterization
    metric: CovectorMetric
    points: Point
    w: Point
    a: Array
    shares: Array
    c: Array
    phi: Array
    Omega: Array
    gamma: Array
    Phi: Array


def _layer(world: World, a: Array | None = None) -> _Layer:
    """Draws: points a unless given, masses, coefficients c, covectors phi, Omega, gamma, Phi, tau.

    Masses and coefficients are made positive, ``1 + x^2``; the shares of the data are masses over their sum.
    """
    (n, m), ns = world.sizes.widths, world.ns
    count, K = world.sizes.data, world.sizes.covectors
    a = world.array(count, n, name="a") if a is None else a
    masses, c = world.positive(count, name="s"), world.positive(K, count, name="c")
    phi = world.array(K, count, m, name="\\varphi")
    Omega, gamma = world.invertible(n, name="\\Omega"), world.array(n, name="\\gamma")
    Phi, tau = world.invertible(m, name="\\Phi"), world.array(m, name="\\tau")
    A, Z = AffineSpace("A", n, world.kind), AffineSpace("Z", m, world.kind)
    iota = Parameterization([A.frame("iota"), Z.frame("iota")], name="iota")
    of_A, of_Z = (tuple(map(world.for_frames, change)) for change in ((Omega, gamma), (Phi, tau)))
    kappa = iota.change({A: of_A, Z: of_Z}, name="kappa")
    W = AffineMaps(A, Z)
    w = W.from_coordinates(ns.zeros((m, n + 1)), iota)
    metric = CovectorMetric(iota[Z], lambda z: (c, phi))
    points: Point = A.from_coordinates(a, iota)
    return _Layer(W, iota, kappa, metric, points, w, a, masses / ns.sum(masses), c, phi, Omega, gamma, Phi)


def matrix_in_a_second_basis(world: World) -> Comparisons:
    """``g_ind`` made in the first basis and read in the second: ``E[a'a'^T] (x) E[G'(z')]`` there.

    Draws: as `_layer`.
    """
    it, ns = _layer(world), world.ns
    a = it.a @ it.Omega.mT + it.gamma
    phi = it.phi @ ns.inverse(it.Phi)
    if world.planted("covectors moved as vectors are"):
        phi = it.phi @ it.Phi.mT
    if world.planted("activations not translated"):
        a = it.a @ it.Omega.mT
    a_bar = homogeneous(ns, a)
    A = (a_bar * it.shares[:, None]).mT @ a_bar
    rows = ns.reshape(phi, (-1, phi.shape[-1]))
    G = (rows * ns.reshape(it.c * it.shares, (-1, 1))).mT @ rows
    g_ind = IndependenceMetric(it.points, it.metric, it.shares).at(it.w)
    yield same("matrix of g_ind in the second basis", g_ind.coordinates(it.kappa).dense(), ns.kron(A, G))


def form_as_a_sum_of_squares(world: World) -> Comparisons:
    """``g_ind(v, v) = sum s_i s_j c_k(j) (phi_k(j)(v a_i))^2``, v given in the second basis; and symmetry.

    Draws: as `_layer`, then v and u, in the second basis.
    """
    it, ns = _layer(world), world.ns
    m, n = it.W.slots
    v_there, u_there = world.array(m, n, name="v"), world.array(m, n, name="u")
    v, u = (it.W.direction.from_coordinates(array, it.kappa) for array in (v_there, u_there))
    g_ind = IndependenceMetric(it.points, it.metric, it.shares).at(it.w)
    # phi'_k(z_j)(v(a_i)) for every k, j, i, all in the second basis.
    a_bar = homogeneous(ns, it.a @ it.Omega.mT + it.gamma)
    values = (it.phi @ ns.inverse(it.Phi)) @ (a_bar @ v_there.mT).mT
    if world.planted("a and z of one datum together"):
        values = ns.broadcast_to(ns.diagonal(values)[..., None], values.shape)
    squares = ns.sum(values * values * (it.c * it.shares)[..., None] * it.shares)
    yield same("g_ind(v, v), a sum of squares", g_ind(v, v), squares)
    yield same("g_ind(u, v) = g_ind(v, u)", g_ind(u, v), g_ind(v, u))


def an_affine_function_that_vanishes_on_the_data(world: World) -> Comparisons:
    """If l vanishes at every a_n, then ``l (x) mu`` is in the radical of the expected pullback and of g_ind.

    Draws: slope (n) and constant of l, all coordinates of the data but the last, mu, then as `_layer`
    with these data.
    """
    (n, m), ns = world.sizes.widths, world.ns
    slope, constant = world.array(n, name="l"), world.number("l_0")
    free = world.array(world.sizes.data, n - 1, name="a")
    mu = world.array(m, name="\\mu")
    last = (-(free @ slope[:-1]) - constant) / slope[-1]
    if world.planted("the constant of l left out"):
        last = -(free @ slope[:-1]) / slope[-1]
    it = _layer(world, ns.concat([free, last[:, None]], axis=1))
    line = ns.concat([slope, ns.reshape(constant, (1,))], axis=0)
    null: Vector = it.W.direction.from_coordinates(mu[:, None] * line[None, :], it.iota)
    expected = ExpectedMetric(PullbackMetric(it.W.evaluation(it.points), it.metric), it.shares).at(it.w)
    g_ind = IndependenceMetric(it.points, it.metric, it.shares).at(it.w)
    zero = ns.zeros((m, n + 1))
    yield same("E[psi_a^* g] at l (x) mu", expected.flat(null).coordinates(it.kappa), zero)
    yield same("g_ind at l (x) mu", g_ind.flat(null).coordinates(it.kappa), zero)
