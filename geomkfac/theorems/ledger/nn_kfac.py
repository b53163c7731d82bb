"""NN 5.4 to 6: running averages of the factors, step sizes from the quadratic model, the algorithm."""

from __future__ import annotations

from itertools import islice
from typing import Any

from geomkfac.arrays.array import Array
from geomkfac.metrics import Bernoulli
from geomkfac.networks import MLP
from geomkfac.spaces import Point, Vector
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import abstract_network, all_at_once, random_direction
from geomkfac.theorems.instances.krylov import conjugate_gradient
from geomkfac.theorems.instances.sweeps import Sweep
from geomkfac.theorems.instances.textbook.fully_connected import homogeneous, weighted_squares


def running_averages(world: World) -> Comparisons:
    """``A <- eta A + (1 - eta)/B Y^T Y`` over batches, (25), is the factor of all data with geometric weights.

    The package's K-FAC metric of a weighted sample, against the recursion.
    """
    it = abstract_network(world)
    ns, T, B = world.ns, world.sizes["batches"], world.sizes.data
    eta = world.number() if world.is_exact else ns.scalar(0.7)
    widths = world.sizes.widths
    X = [world.array(B, widths[0]) for _ in range(T)]
    mean: Any = []
    for t, batch in enumerate(X):
        blocks = it.net.kfac_metric(it.weights, it.iota.sample(batch), it.loss).coordinates(it.iota).blocks
        factors = [list(block.factors) for block in blocks]
        keep, take = (eta, ns.ones(()) - eta) if t else (eta * 0, ns.ones(()))
        if world.planted("1 - eta left out"):
            take = ns.ones(())
        mean = [
            [one * keep + other * take for one, other in zip(old, new, strict=True)] if t else new
            for old, new in zip(mean or factors, factors, strict=True)
        ]
    weights = []
    for t in range(T):
        share = ns.ones(()) if t == 0 else ns.ones(()) - eta
        for _ in range(T - 1 - t):
            share = share * eta
        if world.planted("all batches alike"):
            share = ns.ones(()) / T
        weights.append(ns.broadcast_to(share / B, (B,)))
    # One batch at a time, as a table of the loss is of a batch: sums merge.
    samples = [it.iota.sample(x, weights=w) for x, w in zip(X, weights, strict=True)]
    blocks = [it.net.kfac_metric(it.weights, sample, it.loss).coordinates(it.iota) for sample in samples]
    for i in range(len(mean)):
        A = blocks[0].blocks[i].factors[0] * ns.sum(weights[0])
        for batch, share in zip(blocks[1:], weights[1:], strict=True):
            A = A + batch.blocks[i].factors[0] * ns.sum(share)
        yield same(f"A of layer {i + 1}", mean[i][0], A)
        if not i:
            rows = homogeneous(ns, ns.concat(X))
            yield same("A of layer 1, of all data", mean[0][0], weighted_squares(ns, ns.concat(weights), rows))


# -- step sizes ----------------------------------------------------------------------------------------------
def quadratic_along_a_line(world: World) -> Comparisons:
    """``J(w + a r) = J(w) + a grad^T r + 1/2 a^2 r^T G r`` on a quadratic, least at ``a = -grad^T r / r^T G r``,
    (26).
    """
    (n,), ns = world.sizes.widths, world.ns
    R, g, w, r = (
        world.array(n, n, name="R"),
        world.array(n, name="g"),
        world.array(n, name="w"),
        world.array(n, name="r"),
    )
    G, a, h = R.mT @ R, world.number("a"), world.number("h")

    def cost(x: Array) -> Array:
        return ns.sum(g * x) + ns.sum(x * (G @ x)) / 2

    slope, curvature = ns.sum((g + G @ w) * r), ns.sum(r * (G @ r))
    half = 1 if world.planted("without the 1/2, as printed") else 2
    yield same("the cost along r", cost(w + r * a), cost(w) + a * slope + a * a * curvature / half)
    best = -slope / curvature
    yield same("least: no first-order change", cost(w + r * (best + h)), cost(w + r * (best - h)))


def step_size_from_forward_products(world: World) -> Comparisons:
    """``r^T G r = E[(J r)^T H_z (J r)]``: one product in forward mode; with momentum two, (27).  On a network."""
    it = abstract_network(world)
    ns = world.ns
    chunk, shares = all_at_once(it.data)
    sweep = Sweep(it.net, it.weights, chunk.points)
    metric = it.loss.fisher(sweep.outputs)
    r, p = (random_direction(world, it.net, it.iota) for _ in "rp")
    pushed = [sweep.pushforward(v) for v in (r, p)]
    G = it.net.fisher_metric(it.weights, it.data, it.loss)
    for i, u in enumerate((r, p)):
        for j, v in enumerate((r, p)):
            product = metric.flat(pushed[i])(pushed[j])
            weights = ns.ones((world.sizes.data,)) if world.planted("sum for mean") else shares
            yield same(f"entry {i + 1}, {j + 1} of the two-dimensional model", G(u, v), ns.sum(product * weights))
    yield same("passes in forward mode", sweep.passes - 1, 2)


def conjugate_by_momentum(world: World) -> Comparisons:
    """Preconditioned gradient with momentum, both coefficients least in the model, (27), IS preconditioned CG.

    On a fixed quadratic with a fixed preconditioner P.
    """
    (n,), ns = world.sizes.widths, world.ns
    R, P, b = world.array(n, n, name="R"), world.array(n, n, name="P"), world.array(n, name="b")
    lam = world.positive(1)[0]
    G, M = R.mT @ R + ns.eye(n) * lam, P.mT @ P + ns.eye(n)

    def precondition(v: Array) -> Array:
        return ns.solve(M, v[:, None])[:, 0]

    iterates = islice(conjugate_gradient(ns, lambda v: G @ v, b, precondition), n)
    x, previous = b * 0, None
    for k, expected in enumerate(iterates, start=1):
        grad = G @ x - b
        r = -precondition(grad)
        if previous is None or world.planted("no momentum"):
            x, previous = x + r * (-ns.sum(grad * r) / ns.sum(r * (G @ r))), x
        else:
            basis = ns.stack([r, x - previous], axis=1)
            coefficients = ns.solve(basis.mT @ G @ basis, -(basis.mT @ grad)[:, None])
            x, previous = x + (basis @ coefficients)[:, 0], x
        yield same(f"iterate {k}", x, expected)


# -- the algorithm -------------------------------------------------------------------------------------------
def algorithm(world: World) -> Comparisons:
    """Vanilla K-FAC reaches in 20 updates a training error that gradient descent does not reach in 60.

    Each at the best of its rates, on inputs of unequal scales that are not centred.  Once under way it does not need
    new statistics at every update.
    """
    ns, widths, count = world.ns.ordered("tanh"), world.sizes.widths, world.sizes.data
    net, iota = MLP.from_widths(widths, "tanh", kind=world.kind)
    start: Point = net.weight_space.from_coordinates([world.array(*layer.slots) * 0.3 for layer in net.layers], iota)
    scales = ns.stack([ns.scalar(4.0 ** (1 - k)) for k in range(widths[0])])
    free = world.array(count, widths[0])
    targets = ns.tanh((free + 2.0) @ world.array(widths[0], widths[-1]))
    y = Bernoulli().predictions(ns, targets * 3.0)
    data, loss = iota.sample((free + 2.0) * scales, y), Bernoulli().on(iota)

    def descend(weights: Point, covector: Vector, rate: float) -> Point:
        vector: Vector = net.weight_space.direction.from_coordinates(covector.coordinates(iota), iota)
        moved: Point = weights - vector * rate
        return moved

    def gradient_descent(rate: float) -> float:
        weights = start
        for _ in range(60):
            weights = descend(weights, net.differential(weights, data, loss), rate)
        return float(net.loss(weights, data, loss))

    def kfac(period: int, updates: int, rate: float) -> float:
        weights, g = start, None
        for step in range(updates):
            if step < 10 or step % period == 0:
                g = net.kfac_metric(weights, data, loss).damped(iota.euclidean, 1e-2, "exact")
            dh = net.differential(weights, data, loss)
            if g is None or world.planted("the statistics ignored"):
                weights = descend(weights, dh, 0.1)
            else:
                weights = weights - g.sharp(dh) * rate
        return float(net.loss(weights, data, loss))

    slow = min(gradient_descent(rate) for rate in (0.05, 0.2))
    yield same(
        "20 updates beat 60 of gradient descent", bool(min(kfac(1, 20, rate) for rate in (0.2, 0.5)) < slow), True
    )
    yield same(
        "so do 25, of which the last 15 renew the statistics every third time",
        bool(min(kfac(3, 25, rate) for rate in (0.2, 0.5)) < slow),
        True,
    )


def exactly_damped_step(world: World) -> Comparisons:
    """The algorithm's step: in the eigenbases of the factors, divided by products of eigenvalues plus lambda."""
    it = abstract_network(world)
    ns = world.ns.ordered("eigenvectors")
    lam = 0.3
    g = it.net.kfac_metric(it.weights, it.data, it.loss)
    dh = it.net.differential(it.weights, it.data, it.loss)
    step = g.damped(it.iota.euclidean, lam, "exact").sharp(dh).coordinates(it.iota)
    for i, (block, V, found) in enumerate(
        zip(g.coordinates(it.iota).blocks, dh.coordinates(it.iota), step, strict=True), 1
    ):
        A, S = block.factors
        (d, Q), (e, P) = ns.eigh(A), ns.eigh(S)
        divisor = e[:, None] * d + (lam if not world.planted("lambda forgotten") else 0.0)
        yield same(f"layer {i}", found, P @ ((P.mT @ V @ Q) / divisor) @ Q.mT)


LINE = (Sizes((1,)), Sizes((2,)), Sizes((4,)))
BATCHES = (
    Sizes((1, 1), 2, 1, extra=(("batches", 2),)),
    Sizes((2, 2, 2), 3, 2, extra=(("batches", 3),)),
)
NETS = (Sizes((1, 1), 2, 1), Sizes((2, 2, 2), 4, 2))
CONJUGATE = (Sizes((1,)), Sizes((2,)), Sizes((3,)))
TRAINED = (Sizes((3, 4, 1), 30),)
MANY = (Sizes((2, 3, 2), 30, 2),)

STATEMENTS = (
    Statement(
        id="NN-25",
        source="NN (25)",
        title="running averages of the factors",
        text=(
            "The exponential moving average of the factors over batches is the factor of all data with geometric "
            "weights."
        ),
        latex=r"\hat{\mathbf A}\leftarrow\eta\hat{\mathbf A}+\tfrac{1-\eta}{B}\mathbf Y^\top\mathbf Y",
        hypotheses=("The average begins with the first batch's factors.",),
        checks=(
            Check("X", "the recursion, and weighted data", running_averages, BATCHES, "GF(p)"),
            Check("N", "the recursion, and weighted data", running_averages, BATCHES, "floating"),
        ),
        mutants=(
            Mutant("1 - eta left out", running_averages, BATCHES[-1]),
            Mutant("all batches alike", running_averages, BATCHES[-1]),
        ),
        objects=("networks.MLP.kfac_metric", "spaces.Sample"),
    ),
    Statement(
        id="NN-26/27",
        source="NN 6, (26), (27); errata E6, E27",
        title="step size and momentum from the quadratic model",
        text=(
            "The best step along r in the quadratic model takes one product in forward mode; the best combination of "
            "r and the "
            "step before takes two, and on a fixed quadratic with a fixed preconditioner is preconditioned conjugate "
            "gradient."
        ),
        latex=(
            r"\alpha=-\frac{\nabla\mathcal J^\top\mathbf r}{\mathbf r^\top\mathbf J^\top\mathbf H_z\mathbf J\mathbf r}"
        ),
        hypotheses=("The curvature along r is positive.",),
        checks=(
            Check("X", "the model along a line", quadratic_along_a_line, LINE, "GF(p)"),
            Check("X", "products in forward mode", step_size_from_forward_products, NETS, "GF(p)"),
            Check("X", "preconditioned conjugate gradient", conjugate_by_momentum, CONJUGATE, "Q"),
            Check("N", "products in forward mode", step_size_from_forward_products, NETS, "floating"),
            Check(
                "N",
                "preconditioned conjugate gradient",
                conjugate_by_momentum,
                CONJUGATE,
                "floating",
                condition_power=4,
            ),
        ),
        mutants=(
            Mutant("without the 1/2, as printed", quadratic_along_a_line, LINE[-1]),
            Mutant("sum for mean", step_size_from_forward_products, NETS[-1]),
            Mutant("no momentum", conjugate_by_momentum, CONJUGATE[-1], "Q"),
        ),
        objects=("networks.MLP.fisher_metric", "maps.Derivative"),
    ),
    Statement(
        id="NN-Alg1",
        source="NN Algorithm 1",
        title="vanilla K-FAC",
        text=(
            "K-FAC with exact damping in eigenbases, statistics renewed every few updates: 20 updates reach a "
            "training error "
            "that 60 of gradient descent, each at the best of its rates, do not."
        ),
        latex=(
            r"\bar{\mathbf W}_\ell\leftarrow\bar{\mathbf W}_\ell-\alpha\,\mathbf Q_S\bar{\mathbf V}''_\ell\,"
            r"\mathbf Q_A^\top"
        ),
        hypotheses=("A small logistic network; inputs of unequal scales, not centred.",),
        checks=(
            Check("N", "the step", exactly_damped_step, MANY, "floating", condition_power=4),
            Check("N", "against gradient descent", algorithm, TRAINED, "floating"),
        ),
        mutants=(
            Mutant("lambda forgotten", exactly_damped_step, MANY[-1], "floating"),
            Mutant("the statistics ignored", algorithm, TRAINED[-1], "floating"),
        ),
        objects=("networks.MLP.kfac_metric", "metrics.MetricTensor.damped"),
    ),
)
