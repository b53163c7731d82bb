"""GM 2.2, 3.2, A.2: factored and exact damping, estimates of the factors, the quadratic model."""

from __future__ import annotations

from geomkfac.arrays.array import Array
from geomkfac.operators import KroneckerProduct
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, given, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import abstract_network
from geomkfac.theorems.ledger.gm_factors import positive_semidefinite
from geomkfac.theorems.ledger.nn_kronecker import orthogonal


def trace_norm_balance(world: World) -> Comparisons:
    """Of all factored dampings of one strength, the package's has the residual of least trace norm, (9), (10).

    Against a scan over pi from 1/16 to 16 times the package's.
    """
    n, m = world.sizes.widths
    ns = world.ns.ordered("norms")
    R, T = world.array(n, n), world.array(m, m)
    gamma = 0.3
    product, identity = KroneckerProduct(R.mT @ R, T.mT @ T), KroneckerProduct(ns.eye(n), ns.eye(m))
    exact = product.dense() + ns.eye(n * m) * gamma
    A, G = product.factors

    def residual(pi: float | None) -> float:
        factored = product.damped_by(identity, gamma, "factored", pi=pi)
        return float(ns.sum(ns.singular_values(factored.dense() - exact)))

    balance = float(((ns.trace(A) / n) / (ns.trace(G) / m)) ** 0.5)
    if world.planted("traces, not divided by sizes"):
        balance = float((ns.trace(A) / ns.trace(G)) ** 0.5)
    best = residual(balance)
    yield same("the package's own pi", ns.scalar(residual(None)), ns.scalar(best))
    scan = [residual(balance * 2.0 ** (k / 4)) for k in range(-16, 17) if k]
    yield same("no other is better", bool(best <= min(scan)), True)


def schatten_norm_of_order_three(world: World) -> Comparisons:
    """(10) in the Schatten norm of order 3 is stationary there: it is not (erratum E20).

    With A = diag(1, 12) and G = diag(9, 10), 1^3 + 12^3 = 9^3 + 10^3, formula (10) gives pi = 1 exactly; the residual's
    cubed norm is tr (pi Y + X/pi)^3, with X = A (x) 1 and Y = 1 (x) G, which commute.
    """
    ns = world.ns
    A, G = ns.asarray([1, 12]), ns.asarray([9, 10])
    if world.planted("equal factors"):
        G = A
    X, Y = ns.kron(A[:, None], ns.ones((2, 1)))[:, 0], ns.kron(ns.ones((2, 1)), G[:, None])[:, 0]
    yield given("pi = 1: the cubed norms of both terms", ns.sum(X * X * X), ns.sum(Y * Y * Y))
    # d/dpi of (pi y + x / pi)^3 at 1 is 3 (y + x)^2 (y - x).
    slope = ns.sum((X + Y) * (X + Y) * (Y - X)) * 3
    yield same("derivative of the cubed norm at that pi", slope, ns.scalar(0))


def estimates(world: World) -> Comparisons:
    """The factors' estimates from a batch are positive semidefinite, and so are their moving averages, (32), (33)."""
    it = abstract_network(world)
    averaged: list[Array] = []
    for _ in range(3):
        data = it.iota.sample(world.array(world.sizes.data, world.sizes.widths[0]))
        blocks = it.net.kfac_metric(it.weights, data, it.loss).coordinates(it.iota).blocks
        factors = [factor for block in blocks for factor in block.factors]
        if world.planted("the mean's square subtracted twice"):
            factors = [factor - 2.0 * factor[:, -1:] @ factor[-1:, :] for factor in factors]
        keep, take = (0.9, 0.1) if not world.planted("a negative weight") else (1.0, -5.0)
        averaged = averaged or factors
        averaged = [old * keep + new * take for old, new in zip(averaged, factors, strict=True)]
        for i, (factor, average) in enumerate(zip(factors, averaged, strict=True), start=1):
            for name, matrix in (("estimate", factor), ("average", average)):
                holds = positive_semidefinite(world.ns, matrix)
                yield same(f"{name} of factor {i}: no eigenvalue below rounding", holds, True)


# -- the quadratic model -------------------------------------------------------------------------------------
def subspace_minimizer(world: World) -> Comparisons:
    """Minimized over ``a_1 v_1 + a_2 v_2``, (36)-(38): ``C a = -b`` with ``C_ij = v_i^T (F + (r + lambda) I) v_j``
    (E14).
    """
    (n,), ns = world.sizes.widths, world.ns
    R, grad = world.array(n, n, name="R"), world.array(n, name="g")
    V = world.array(n, 2, name="v")
    F, damping = R.mT @ R, world.positive(1)[0]
    whole = F + ns.eye(n) * damping

    def model(v: Array) -> Array:
        return ns.sum(grad * v) + ns.sum(v * (whole @ v)) / 2

    C = V.mT @ (F if world.planted("F alone in C, as printed") else whole) @ V
    a = ns.solve(C, -(V.mT @ grad)[:, None])[:, 0]
    if world.planted("the gradient with the wrong sign"):
        a = -a
    best = V @ a
    yield same("slope of the model along v_1 and v_2", V.mT @ (whole @ best), -(V.mT @ grad))
    t = world.array(2, name="t")
    yield same("no first-order change", model(best + V @ t), model(best - V @ t))


def levenberg_marquardt(world: World) -> Comparisons:
    """Where the model is exact the rule drives lambda down; where it is too flat lambda settles at what keeps rho up.

    The true curvature is c times the model's: 1, and 40.
    """
    (n,), ns = world.sizes.widths, world.ns.ordered("ratios")
    R, grad = world.invertible(n), world.array(n)
    F = R.mT @ R
    scale = float(ns.trace(F)) / n
    for curvature, expected in ((1.0, "falls"), (40.0, "settles")):
        lam = scale
        for _ in range(60):
            d = -ns.solve(F + ns.eye(n) * lam, grad[:, None])[:, 0]
            true = float(-(ns.sum(grad * d) + ns.sum(d * (F @ d)) * curvature / 2))
            predicted = float(-(ns.sum(grad * d) + ns.sum(d * (F @ d)) / 2 + ns.sum(d * d) * lam / 2))
            rho = true / predicted
            if rho < 0.25:
                lam = lam * 1.5 if not world.planted("lambda never raised") else lam
            elif rho > 0.75:
                lam = lam / 1.5
        verdict = "falls" if lam < 1e-6 * scale else "settles" if 0.0 <= rho <= 1.5 and lam > 0.1 * scale else "neither"
        yield same(f"true curvature {curvature:g} times the model's: lambda", verdict, expected)


# -- exact damping -------------------------------------------------------------------------------------------
def exact_damping(world: World) -> Comparisons:
    """``(A (x) G + gamma)^{-1}`` from the eigendecompositions of the factors, (39)-(44); A = Q D Q^T with Q
    rational.
    """
    n, m = world.sizes.widths
    ns = world.ns
    Q, P = orthogonal(world, n), orthogonal(world, m)
    d, e, gamma = world.positive(n), world.positive(m), world.positive(1)[0]
    A, G = (Q * d) @ Q.mT, (P * e) @ P.mT
    V = world.array(m, n, name="V")
    damped = KroneckerProduct(A, G).damped_by(KroneckerProduct(ns.eye(n), ns.eye(m)), gamma, "exact")
    bases = ns.kron(Q, P)
    diagonal = ns.reshape(d[:, None] * e + gamma, (n * m,))
    if world.planted("gamma on one factor"):
        diagonal = ns.reshape((d[:, None] + gamma) * e, (n * m,))
    if world.planted("gamma forgotten"):
        diagonal = ns.reshape(d[:, None] * e, (n * m,))
    yield same("matrix", damped.dense(), (bases * diagonal) @ bases.mT)
    yield same("inverse", ns.inverse(damped.dense()), (bases / diagonal) @ bases.mT)
    yield same("solve", damped.solve(V), P @ ((P.mT @ V @ Q) / ns.reshape(diagonal, (n, m)).mT) @ Q.mT)


LINE = (Sizes((2,)), Sizes((4,)))
PAIRS = (Sizes((1, 1)), Sizes((2, 2)), Sizes((3, 4)))
NETS = (Sizes((2, 3, 2), 8),)
TWO = (Sizes((2, 2)),)

STATEMENTS = (
    Statement(
        id="GM-9/10",
        source="GM (9), (10); erratum E20",
        title="factored damping, balanced by the trace norm",
        text=(
            "Adding pi sqrt(gamma) to one factor and sqrt(gamma)/pi to the other leaves a residual whose trace norm "
            "is least "
            "at pi^2 = (tr A / n) / (tr G / m).  In other norms the paper's formula need not be the minimizer."
        ),
        latex=r"\pi=\sqrt{\frac{\operatorname{tr}(\mathbf A)/n}{\operatorname{tr}(\mathbf G)/m}}",
        hypotheses=("A and G are positive semidefinite, of positive trace.",),
        checks=(
            Check("N", "against a scan over pi", trace_norm_balance, PAIRS, "floating"),
            Check("C", "the Schatten norm of order 3", schatten_norm_of_order_three, TWO, "Q"),
        ),
        mutants=(Mutant("traces, not divided by sizes", trace_norm_balance, PAIRS[-1], "floating"),),
        objects=("operators.KroneckerProduct.damped_by", "metrics.MetricTensor.damped"),
    ),
    Statement(
        id="GM-32/33",
        source="GM (32), (33)",
        title="estimates of the factors, and their moving averages, are positive semidefinite",
        text=(
            "Second moments of a batch are positive semidefinite, and so is every average of them with positive "
            "weights."
        ),
        latex=r"\hat{\mathbf A}\leftarrow\xi\,\hat{\mathbf A}+(1-\xi)\,\hat{\mathbf A}_{\mathrm{batch}}\succeq 0",
        hypotheses=("Weights of the data, and of the average, are positive.",),
        checks=(Check("N", "three batches of a network", estimates, NETS, "floating"),),
        mutants=(
            Mutant("the mean's square subtracted twice", estimates, NETS[-1], "floating"),
            Mutant("a negative weight", estimates, NETS[-1], "floating"),
        ),
        objects=("networks.MLP.kfac_metric",),
    ),
    Statement(
        id="GM-36..38",
        source="GM A.2, (36)-(38); erratum E14",
        title="the quadratic model on two directions, and the rule of Levenberg and Marquardt",
        text=(
            "Over combinations of the approximate natural gradient and the step before, the damped quadratic model is "
            "least "
            "where C a = -b, C made with the damping; the damping itself follows the reduction ratio."
        ),
        latex=(
            r"C_{ij}=\mathbf v_i^\top\bigl(\mathbf F+(r+\lambda)\mathbf I\bigr)\mathbf v_j,\qquad C\,a=-b,\quad b_i="
            r"\nabla h^\top\mathbf v_i"
        ),
        hypotheses=("C is invertible.",),
        checks=(
            Check("X", "the minimizer", subspace_minimizer, LINE, "GF(p)"),
            Check("N", "the rule", levenberg_marquardt, LINE[1:], "floating"),
        ),
        mutants=(
            Mutant("the gradient with the wrong sign", subspace_minimizer, LINE[-1]),
            Mutant("F alone in C, as printed", subspace_minimizer, LINE[-1]),
            Mutant("lambda never raised", levenberg_marquardt, LINE[-1], "floating"),
        ),
        objects=("networks.MLP.fisher_metric",),
    ),
    Statement(
        id="GM-39..44",
        source="GM A.2, (39)-(44)",
        title="exact damping by eigendecomposition of the factors",
        text=(
            "The exactly damped Kronecker product, its inverse and its solves are diagonal in the factors' eigenbases."
        ),
        latex=(
            r"(\mathbf A\otimes\mathbf G+\gamma\mathbf I)^{-1}=(\mathbf Q_A\otimes\mathbf Q_G)"
            r"(\mathbf D_A\otimes\mathbf D_G+\gamma\mathbf I)^{-1}(\mathbf Q_A\otimes\mathbf Q_G)^\top"
        ),
        hypotheses=("A and G are symmetric; the damped matrix is invertible.",),
        checks=(
            Check("X", "from chosen eigenbases", exact_damping, PAIRS, "GF(p)"),
            Check("N", "from chosen eigenbases", exact_damping, PAIRS, "floating", condition_power=4),
        ),
        mutants=(
            Mutant("gamma on one factor", exact_damping, PAIRS[-1]),
            Mutant("gamma forgotten", exact_damping, PAIRS[-1]),
        ),
        objects=("operators.ExactlyDampedKroneckerProduct", "operators.DiagonalInKroneckerBasis"),
    ),
)
