"""NN 4 and the pullback sampling trick: conjugate gradient on the damped Gauss-Newton matrix, adaptive damping."""

from __future__ import annotations

from itertools import islice

from geomkfac.arrays.array import Array
from geomkfac.metrics import EuclideanMetric
from geomkfac.spaces import Vector
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, order, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import abstract_network, all_at_once, constant_covector_metric
from geomkfac.theorems.instances.krylov import conjugate_gradient, krylov_basis
from geomkfac.theorems.instances.sweeps import Sweep
from geomkfac.theorems.ledger.lg_2_1_fisher import flattened, unflattened


def gauss_newton_matrix(world: World, d: int) -> Array:
    """A random positive semidefinite matrix (d, d) of rank d - 1, d above 1."""
    R = world.array(max(1, d - 1), d, name="R")
    return R.mT @ R


def iterates_are_optimal(world: World) -> Comparisons:
    """The k-th iterate of CG minimizes the quadratic on the Krylov subspace: its gradient is orthogonal to it."""
    (d,), ns = world.sizes.widths, world.ns
    lam, b = world.positive(1, name="\\lambda")[0], world.array(d, name="b")
    A = gauss_newton_matrix(world, d) + ns.eye(d) * lam
    damping = lam * 2 if world.planted("another damping in the products") else lam
    G = A - ns.eye(d) * lam

    def product(v: Array) -> Array:
        return G @ v + v * damping

    for k, x in enumerate(islice(conjugate_gradient(ns, product, b), d), start=1):
        K = krylov_basis(ns, lambda v: A @ v, b, k)
        yield same(f"gradient at iterate {k}, on the subspace", K.mT @ (A @ x), K.mT @ b)
    yield same("the last iterate solves", A @ x, b)


def passes_of_hessian_free(world: World) -> Comparisons:
    """K iterations of CG on the damped Gauss-Newton system take 2 K + 2 passes, and give what the matrix gives.

    Matrix-free: products ``J^T (M (J v)) + lambda v`` by one pass in forward mode and one backward.
    """
    it = abstract_network(world)
    ns, K = world.ns, world.sizes["iterations"]
    lam = 0.5
    chunk, shares = all_at_once(it.data)
    sweep = Sweep(it.net, it.weights, chunk.points)
    output = it.loss.fisher(sweep.outputs)
    gradient = sweep.pullback(it.loss.differential(sweep.outputs, chunk.targets), shares)
    space, shapes = it.net.weight_space.direction, [layer.slots for layer in it.net.layers]

    def product(v: Array) -> Array:
        vector: Vector = space.from_coordinates(unflattened(world, v, shapes), it.iota)
        covectors = output.flat(sweep.pushforward(vector))
        if world.planted("one more pass for every product"):
            sweep.pushforward(vector)
        return flattened(world, sweep.pullback(covectors, shares).coordinates(it.iota)) + v * lam

    b = -flattened(world, gradient.coordinates(it.iota))
    x = list(islice(conjugate_gradient(ns, product, b), K))[-1]
    yield same("passes", sweep.passes, 2 * K + 2)

    G = it.net.fisher_metric(it.weights, it.data, it.loss).coordinates(it.iota)
    dh = it.net.differential(it.weights, it.data, it.loss)
    rhs = -flattened(world, dh.coordinates(it.iota))
    matrix = G + ns.eye(G.shape[0]) * lam
    dense = list(islice(conjugate_gradient(ns, lambda v: matrix @ v, rhs), K))[-1]
    yield same("iterate", x, dense)


def reduction_ratio(world: World) -> Comparisons:
    """On a quadratic ``rho = 1 + lambda |d|^2 / (grad^T (G + lambda)^{-1} grad)``, and ``1 <= rho <= 2``, (14)."""
    (n,), ns = world.sizes.widths, world.ns
    G, g, w = gauss_newton_matrix(world, n), world.array(n, name="g"), world.array(n, name="w")
    lam = world.positive(1, name="\\lambda")[0]
    damped = G + ns.eye(n) * lam
    d = -ns.solve(damped, g[:, None])[:, 0]

    def cost(x: Array) -> Array:
        return ns.sum(g * (x - w)) + ns.sum((x - w) * (G @ (x - w))) / 2

    def model(x: Array) -> Array:
        return cost(x) + ns.sum((x - w) * (x - w)) * lam / 2

    reduction = model(w) - model(w + d)
    if world.planted("the damping left out of the model"):
        reduction = cost(w) - cost(w + d)
    rho = (cost(w) - cost(w + d)) / reduction
    natural = -ns.sum(g * d)
    yield same("rho", rho, ns.ones(()) + lam * ns.sum(d * d) / natural)
    excess = ns.to_numpy(rho - ns.ones(())).item()
    yield same("1 <= rho <= 2", bool(0 <= excess <= 1), True)


def limit_of_the_ratio(world: World) -> Comparisons:
    """2 - rho falls like 1 / lambda."""
    (n,), ns = world.sizes.widths, world.ns.ordered("a limit")
    G, g = gauss_newton_matrix(world, n), world.array(n)
    scale = ns.norm(G)
    inverses, gaps = [2.0**-k for k in range(8, 14)], []
    for inverse in inverses:
        lam = scale / inverse
        d = -ns.solve(G + ns.eye(n) * lam, g[:, None])[:, 0]
        extra = ns.sum(d * (G @ d)) if world.planted("G for lambda") else lam * ns.sum(d * d)
        gaps.append(abs(1.0 - float(extra / -ns.sum(g * d))))
    yield order("2 - rho, in 1 / lambda", inverses, gaps, 1)


def adaptive_damping(world: World) -> Comparisons:
    """The rule of Levenberg and Marquardt: lambda times 3/2 below 1/4, times 2/3 above 3/4, else as it was.

    Run on a quadratic, where rho is at least 1, lambda falls by 2/3 at every step; where the true reduction is
    a tenth of the model's it grows by 3/2.
    """
    (n,), ns = world.sizes.widths, world.ns
    G, g, lam = gauss_newton_matrix(world, n), world.array(n), world.positive(1)[0]
    for name, share, factor in (("quadratic", 1, (2, 3)), ("a tenth of the model's reduction", 10, (3, 2))):
        d = -ns.solve(G + ns.eye(n) * lam, g[:, None])[:, 0]
        true = -(ns.sum(g * d) + ns.sum(d * (G @ d)) / 2) / share
        predicted = -(ns.sum(g * d) + ns.sum(d * (G @ d)) / 2 + ns.sum(d * d) * lam / 2)
        rho = ns.to_numpy(true / predicted).item()
        if world.planted("thresholds exchanged"):
            rho = 1 - rho
        up, down = (3, 2), (2, 3)
        numerator, denominator = up if rho < 0.25 else down if rho > 0.75 else (1, 1)
        yield same(name, lam * numerator / denominator, lam * factor[0] / factor[1])


# -- pullback sampling trick ---------------------------------------------------------------------------------
def pseudo_gradients_of_finite_support(world: World) -> Comparisons:
    """Output covectors u_t with probabilities p_t, pulled back in one pass each, have the covariance G: all layers.

    Of every datum on its own, so that what is averaged over the data is the covariance.
    """
    it = abstract_network(world)
    ns, T = world.ns, world.sizes["targets"]
    frame = it.iota[it.net.outputs]
    m = frame.space.dim
    u, p = world.array(T, m, name="u"), world.positive(T, name="p")
    p = p / ns.sum(p)
    chunk, shares = all_at_once(it.data)
    count = world.sizes.data
    G = it.net.gauss_newton_metric(it.weights, it.data, constant_covector_metric(ns, frame, p, u)).coordinates(it.iota)
    sweep = Sweep(it.net, it.weights, chunk.points)
    total = G * 0
    for t in range(T):
        batch = it.net.outputs.direction.dual.from_coordinates(ns.broadcast_to(u[t, :], (count, m)), it.iota)
        for n in range(count):
            alone = ns.eye(count)[n, :]
            if world.planted("averaged over the data first"):
                alone = shares
            Dw = flattened(world, sweep.pullback(batch, alone).coordinates(it.iota))
            total = total + Dw[:, None] * Dw[None, :] * (p[t] * shares[n])
    yield same("covariance of the pseudo-gradients", total, G)


def sampled_pseudo_gradients(world: World) -> Comparisons:
    """With S sampled pseudo-gradients for each datum the error of G falls like S^{-1/2}."""
    it = abstract_network(world)
    ns = world.ns.ordered("lengths")
    exact = it.net.fisher_metric(it.weights, it.data, it.loss).coordinates(it.iota)
    if world.planted("another output metric"):
        exact = it.net.gauss_newton_metric(it.weights, it.data, EuclideanMetric(it.iota[it.net.outputs])).coordinates(
            it.iota
        )
    start = int(world.rng.integers(2**30))
    counts, gaps = [2, 4, 8, 16, 32, 64], []
    for samples in counts:
        squares = []
        for repeat in range(world.sizes["repeats"]):
            seed = start + 1000 * samples + repeat
            g = it.net.fisher_metric(it.weights, it.data, it.loss, fisher="sampled", samples=samples, seed=seed)
            squares.append(ns.norm(g.coordinates(it.iota) - exact) ** 2)
        gaps.append((sum(squares) / len(squares)) ** 0.5)
    yield order("error of G, in 1 / S", [1 / count for count in counts], gaps, 0.5)


KRYLOV = (Sizes((1,)), Sizes((2,)), Sizes((4,)))
FREE = (Sizes((2, 2, 2), 12, 2, extra=(("iterations", 4),)),)
LINE = (Sizes((1,)), Sizes((2,)), Sizes((4,)))
FINITE = (
    Sizes((1, 1), 2, extra=(("targets", 2),)),
    Sizes((2, 2, 2), 3, extra=(("targets", 3),)),
)
SAMPLED = (Sizes((2, 2, 2), 6, extra=(("repeats", 120),)),)

STATEMENTS = (
    Statement(
        id="NN-12..14",
        source="NN 4, (12)-(14); erratum E24",
        title="Hessian-free optimization, and adaptive damping",
        text=(
            "Conjugate gradient on the damped Gauss-Newton system: its k-th iterate is optimal on the Krylov "
            "subspace, and K "
            "iterations take 2 K + 2 passes.  On a quadratic the reduction ratio is between 1 and 2, and tends to 2 "
            "for "
            "large damping; the rule of Levenberg and Marquardt adapts the damping by it."
        ),
        latex=(
            r"\rho=1+\frac{\lambda\,|d|^2}{\nabla\mathcal J^\top(\mathbf G+\lambda\mathbf I)^{-1}\nabla\mathcal J},"
            r"\qquad 1\le\rho\le 2"
        ),
        hypotheses=("G is positive semidefinite, and lambda > 0.", "For rho: the cost is quadratic, with Hessian G."),
        checks=(
            Check("X", "iterates are optimal", iterates_are_optimal, KRYLOV, "Q"),
            Check("X", "the reduction ratio", reduction_ratio, LINE, "Q"),
            Check("X", "Levenberg-Marquardt", adaptive_damping, LINE, "Q"),
            Check("N", "2 K + 2 passes", passes_of_hessian_free, FREE, "floating", condition_power=4),
            Check("N", "rho tends to 2", limit_of_the_ratio, LINE[1:], "floating"),
        ),
        mutants=(
            Mutant("another damping in the products", iterates_are_optimal, KRYLOV[-1], "Q"),
            Mutant("the damping left out of the model", reduction_ratio, LINE[-1], "Q"),
            Mutant("thresholds exchanged", adaptive_damping, LINE[-1], "Q"),
            Mutant("one more pass for every product", passes_of_hessian_free, FREE[-1], "floating"),
            Mutant("G for lambda", limit_of_the_ratio, LINE[-1], "floating"),
        ),
        objects=("networks.MLP.gauss_newton_metric", "maps.SmoothMap"),
    ),
    Statement(
        id="NN-PST",
        source="NN 5, on the pullback sampling trick",
        title="the pullback sampling trick",
        text=(
            "Output covectors with covariance the output metric, pulled back in one backward pass, are "
            "pseudo-gradients "
            "whose covariance is the pullback metric, at every layer; with S of them the error falls like S^{-1/2}."
        ),
        latex=(
            r"\operatorname{Cov}(u)=g_{\mathrm{out}}\;\Longrightarrow\;\mathbb E\bigl[\mathcal D\mathbf w\,\mathcal D"
            r"\mathbf w^\top\bigr]=\mathbf G"
        ),
        hypotheses=("u has mean 0, or G is the second moment.",),
        checks=(
            Check("X", "finite support", pseudo_gradients_of_finite_support, FINITE, "GF(p)"),
            Check("N", "finite support", pseudo_gradients_of_finite_support, FINITE, "floating"),
            Check("N", "sampled", sampled_pseudo_gradients, SAMPLED, "floating"),
        ),
        mutants=(
            Mutant("averaged over the data first", pseudo_gradients_of_finite_support, FINITE[-1]),
            Mutant("another output metric", sampled_pseudo_gradients, SAMPLED[-1], "floating"),
        ),
        objects=("networks.MLP.gauss_newton_metric", "networks.MLP.fisher_metric"),
    ),
)
