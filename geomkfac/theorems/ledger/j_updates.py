"""J 8, B, C: Kronecker identities, natural gradient under reparameterization, metrics from divergences, storage."""

from __future__ import annotations

from math import prod
from typing import Any

import sympy

from geomkfac.arrays.array import Array
from geomkfac.metrics import DenseTensor, EuclideanMetric
from geomkfac.operators import BlockDiagonal, DenseMatrix, KroneckerProduct
from geomkfac.spaces import AffineSpace, Point
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, given, order, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import abstract_network
from geomkfac.theorems.instances.calculus import (
    cubic,
    entries,
    expressions,
    gradient,
    hessian,
    jacobian,
    quadratic,
    variables,
)


def kronecker_identities(world: World) -> Comparisons:
    """``(A (x) B)^{-1} = A^{-1} (x) B^{-1}``, and ``(A (x) B) vec(C) = vec(A C B^T)``, vec row by row."""
    n, m = world.sizes.widths
    ns = world.ns
    A, B, C = world.array(n, n, name="A"), world.array(m, m, name="B"), world.array(n, m, name="C")
    product = ns.kron(A, B)
    inverse = KroneckerProduct(A, B).inverse().dense()
    yield same("inverse", inverse @ product, ns.eye(n * m))
    left, right = product @ ns.reshape(C, (n * m, 1)), A @ C @ B.mT
    if world.planted("columns stacked"):
        left, right = product @ ns.reshape(C.mT, (n * m, 1)), right.mT
    yield same("product with vec", left[:, 0], ns.reshape(right, (n * m,)))
    # This package's operators act on matrices (m, n), whose columns are stacked: the same numbers.
    yield same(
        "the package's operator", KroneckerProduct(A, B).apply(C.mT), right.mT if right.shape == (n, m) else right
    )


def linear_reparameterization(world: World) -> Comparisons:
    """``theta - alpha F^{-1} grad = A (theta' - alpha F'^{-1} grad')`` where ``theta = A theta'``, (49)-(52).

    Draws: A, theta, alpha; then, for each step, R (F is R^T R) and grad: both are arbitrary at the point reached.
    """
    (d,), ns = world.sizes.widths, world.ns
    A, theta, alpha = world.invertible(d, name="A"), world.array(d, 1, name="theta"), world.number("alpha")
    theta_prime = ns.solve(A, theta)
    for step in range(1, world.sizes.steps + 1):
        R, grad = world.invertible(d, name="R"), world.array(d, 1, name="g")
        F = R.mT @ R
        F_prime, grad_prime = A.mT @ F @ A, A.mT @ grad
        if world.planted("gradient descent"):
            F, F_prime = ns.eye(d), ns.eye(d)
        if world.planted("F' = A F A^T"):
            F_prime = A @ F @ A.mT
        if world.planted("beta I added to both"):
            F, F_prime = F + ns.eye(d), F_prime + ns.eye(d)
        theta = theta - alpha * ns.solve(F, grad)
        theta_prime = theta_prime - alpha * ns.solve(F_prime, grad_prime)
        yield same(f"theta = A theta' after step {step}", theta, A @ theta_prime)


def one_point_in_two_frames(world: World) -> Comparisons:
    """The same with a metric of the package, on an affine space with two frames; A and a translation."""
    (d,), ns = world.sizes.widths, world.ns
    space = AffineSpace("Theta", d, world.kind)
    iota = space.frame("theta")
    kappa = iota.change(world.for_frames(world.invertible(d)), world.for_frames(world.array(d)))
    R, alpha = world.invertible(d), world.number()
    F = DenseTensor.from_coordinates(R.mT @ R, iota.linear)
    dl = space.direction.dual.from_coordinates(world.array(d), iota.linear.dual)
    theta = space.from_coordinates(world.array(d), iota)

    updated: Point = theta - F.sharp(dl) * alpha
    F_prime, grad_prime = F.coordinates(kappa.linear), dl.coordinates(kappa.linear.dual)
    if world.planted("gradient descent in the frame"):
        F_prime = ns.eye(d)
    step = ns.solve(F_prime, grad_prime[:, None])[:, 0]
    yield same("in the second frame", updated.coordinates(kappa), theta.coordinates(kappa) - alpha * step)


def matrix_that_depends_on_the_point(world: World) -> Comparisons:
    """``theta = A theta' + Q(theta', theta')``: with the Jacobian for A, (52) does not hold exactly."""
    (d,) = world.sizes.widths
    alpha = world.number()
    A, Q, theta_prime, R, grad = _curved(world, d)
    if world.planted("no curvature"):
        Q = Q * 0
    yield same("(52)", *_steps(world.ns, A, Q, theta_prime, R, grad, alpha))


def to_first_order(world: World) -> Comparisons:
    """The same: the two updates differ at second order in the step size."""
    (d,) = world.sizes.widths
    ns = world.ns.ordered("lengths")
    A, Q, theta_prime, R, grad = _curved(world, d)
    sizes = [2.0**-k for k in range(6, 12)]
    gaps = []
    for alpha in sizes:
        one, other = _steps(ns, A, Q, theta_prime, R, grad, ns.scalar(alpha))
        if world.planted("A at another point"):
            other = _steps(ns, A * 2, Q, theta_prime, R, grad, ns.scalar(alpha))[1]
        gaps.append(ns.norm(one - other))
    yield order("the gap between the updates, in the step size", sizes, gaps, 2)


def _curved(world: World, d: int) -> tuple[Array, Array, Array, Array, Array]:
    return world.invertible(d), world.array(d, d, d), world.array(d), world.invertible(d), world.array(d)


def _steps(ns: Any, A: Array, Q: Array, theta_prime: Array, R: Array, grad: Array, alpha: Array) -> tuple[Array, Array]:
    """Updates made in theta and in theta', both in theta."""

    def curve(x: Array) -> Array:
        return A @ x + ns.sum(Q * x[:, None] * x[None, :], axis=(1, 2))

    # The Jacobian: A + 2 (the symmetric part of Q) x.
    J = A + ns.sum(Q * theta_prime[None, :, None], axis=1) + ns.sum(Q * theta_prime[None, None, :], axis=2)
    F = R.mT @ R
    step = ns.solve(F, grad[:, None])[:, 0]
    there = ns.solve(J.mT @ F @ J, (J.mT @ grad)[:, None])[:, 0]
    return curve(theta_prime) - alpha * step, curve(theta_prime - alpha * there)


# -- metrics from divergences --------------------------------------------------------------------------------
def divergence_pulled_back(world: World) -> Comparisons:
    """``d_22 h(x, x) = dg^T d_22 f(g(x), g(x)) dg`` where f(a, .) is least at a, (53), (54); arbitrary g.

    f(a, b) is, to third order, an arbitrary function of b - a that has no linear term.
    """
    d, m = world.sizes.widths
    x, y, b = variables("x", d), variables("y", d), variables("b", m)
    linear = entries(world, world.array(m, name="l"))
    f = quadratic(world, b, "f") + cubic(world, b, "h")
    slope = sympy.Matrix(gradient(f, b)).subs(dict.fromkeys(b, 0))
    f = f - sum(each * s for each, s in zip(b, slope, strict=True))
    if world.planted("f(a, .) is not least at a"):
        f = f + sum(each * s for each, s in zip(b, linear, strict=True))
    g = [quadratic(world, x, f"g^{k + 1}") for k in range(m)]
    there = dict(zip(x, y, strict=True))
    h = f.subs({each: gk.subs(there) - gk for each, gk in zip(b, g, strict=True)}, simultaneous=True)
    here = dict.fromkeys((*x, *y), 0)
    J = sympy.Matrix(jacobian(g, x)).subs(here)
    M = sympy.Matrix(hessian(f, b)).subs(dict.fromkeys(b, 0))
    if world.planted("Jacobian on one side"):
        J = J.T * J if d == m else J
    yield same("h(x, x) = 0", expressions(world, [h.subs(here)]), world.ns.zeros((1,)))
    yield same("d_22 h", expressions(world, sympy.Matrix(hessian(h, y)).subs(here)), expressions(world, J.T * M * J))


def least_squares_distance(world: World) -> Comparisons:
    """F = 1/2 |a - b|^2 pulled back by a network gives the Gauss-Newton metric: positive semidefinite."""
    it = abstract_network(world)
    ns = world.ns.ordered("eigenvalues")
    output = EuclideanMetric(it.iota[it.net.outputs])
    M = it.net.gauss_newton_metric(it.weights, it.data, output)
    matrix = M.coordinates(it.iota)
    if world.planted("a negative weight"):
        matrix = matrix - ns.eye(matrix.shape[0]) * (ns.norm(matrix) * 0.01)
    v = world.array(matrix.shape[0], world.sizes.extra[0][1])
    forms = ns.sum(v * (matrix @ v), axis=0)
    floor = -matrix.shape[0] * ns.epsilon * ns.norm(matrix) * ns.norm(v)
    values, _ = ns.eigh(matrix)
    yield same("no value is negative, beyond rounding", bool(ns.max(-forms) <= -floor), True)
    yield same("no eigenvalue is", bool(ns.max(-values) <= -floor), True)


def fourth_power_of_the_distance(world: World) -> Comparisons:
    """``f(a, b) = |a - b|^4`` is zero at a = b alone, and its second derivative there is 0: no Riemannian metric."""
    (m,) = world.sizes.widths
    b = variables("b", m)
    power = 1 if world.planted("the square instead") else 2
    f = sum(each**2 for each in b) ** power
    M = expressions(world, sympy.Matrix(hessian(f, b)).subs(dict.fromkeys(b, 0)))
    yield given("least at a, by its gradient", expressions(world, sympy.Matrix(gradient(f, b)).subs(
        dict.fromkeys(b, 0))), world.ns.zeros((m, 1)))  # fmt: skip
    yield same("rank of the form", world.ns.rank(M), m)


def not_an_immersion(world: World) -> Comparisons:
    """G maps a line of parameters to one point: the metric pulled back has rank at most its codomain's dimension."""
    d, m = world.sizes.widths
    J, R = world.array(m, d), world.array(m, m)
    M = J.mT @ (R.mT @ R) @ J
    if world.planted("an immersion"):
        M = world.ns.eye(d)
    yield same("rank of the metric pulled back", world.ns.rank(M), d)


# -- storage -------------------------------------------------------------------------------------------------
def storage(world: World) -> Comparisons:
    """Numbers held: dense d^2, blocks sum (m (n+1))^2, Kronecker sum (m^2 + (n+1)^2), diagonal d; d = sum m (n+1).

    Of the package's own operators for a network of these widths.
    """
    widths, ns = world.sizes.widths, world.ns
    pairs = [(m, n + 1) for m, n in zip(widths[1:], widths[:-1], strict=True)]
    kronecker = BlockDiagonal(tuple(KroneckerProduct(ns.eye(n), ns.eye(m)) for m, n in pairs))
    dense_blocks = BlockDiagonal(tuple(DenseMatrix(ns.eye(m * n)) for m, n in pairs))
    d = sum(m * n for m, n in pairs)
    held = sum(prod(factor.shape) for block in kronecker.blocks for factor in block.factors)  # type: ignore[attr-defined]
    formula = sum(m**2 + n**2 for m, n in pairs)
    if world.planted("one factor for each layer"):
        formula = sum(m**2 for m, _ in pairs)
    yield same("Kronecker factors", held, formula)
    blocks = sum(prod(block.dense().shape) for block in dense_blocks.blocks)
    yield same("dense blocks", blocks, sum((m * n) ** 2 for m, n in pairs))
    yield same("rows of the matrix", kronecker.size, d)
    yield same("the dense matrix", prod(kronecker.dense().shape), d**2)


def storage_in_symbols(world: World) -> Comparisons:
    """For K layers of n inputs and n outputs: K^2 n^2 (n+1)^2 dense, K (n^2 + (n+1)^2) in factors.

    The paper's example counts K = 10 and n = 1000 without the bias: 10^14 and 2 * 10^7.
    """
    K, n, b = sympy.symbols("K n b", integer=True, nonnegative=True)
    i = sympy.Symbol("i", integer=True)
    d = sympy.summation(n * (n + b), (i, 1, K))
    factors = sympy.summation(n**2 + (n + b) ** 2, (i, 1, K))
    example = {K: 10, n: 1000, b: 0}
    printed = {K: 10, n: 1000, b: 1} if world.planted("the bias counted") else example
    numbers = [expression.subs(printed) for expression in (d**2, factors)]
    yield same("formulas", expressions(world, [d**2, factors]),
               expressions(world, [K**2 * n**2 * (n + b) ** 2, K * (n**2 + (n + b) ** 2)]))  # fmt: skip
    yield same("the paper's example", expressions(world, numbers), expressions(world, [10**14, 2 * 10**7]))


PAIRS = (Sizes((1, 1)), Sizes((2, 2)), Sizes((3, 4)))
PLANE = (Sizes((1,), steps=2), Sizes((2,), steps=2), Sizes((5,), steps=3))
LARGE = (Sizes((5,), steps=10),)
CURVED = (Sizes((1,)), Sizes((2,)), Sizes((3,)))
DIVERGENCE = (Sizes((1, 1)), Sizes((1, 2)), Sizes((2, 2)))
NETS = (Sizes((2, 3, 2), 20, 2, extra=(("vectors", 50),)),)
LAYERS = (Sizes((1, 1)), Sizes((3, 2, 4)))

STATEMENTS = (
    Statement(
        id="J-38",
        source="J (38); erratum E32",
        title="Kronecker products: inverse, and product with vec",
        text=(
            "The inverse of a Kronecker product is that of the inverses; applied to vec(C), rows stacked, it is vec(A "
            "C B^T)."
        ),
        latex=(
            r"(A\otimes B)^{-1}=A^{-1}\otimes B^{-1},\qquad(A\otimes B)\operatorname{vec}(C)=\operatorname{vec}(ACB^"
            r"\top)"
        ),
        hypotheses=("A and B are invertible, for the first.", "vec stacks rows, for the second."),
        checks=(
            Check("X", "both identities", kronecker_identities, PAIRS, "GF(p)"),
            Check("C", "columns stacked", kronecker_identities, PAIRS, "GF(p)", drops="columns stacked"),
        ),
        mutants=(Mutant("columns stacked", kronecker_identities, PAIRS[-1]),),
        objects=("operators.KroneckerProduct",),
    ),
    Statement(
        id="J-49..52",
        source="J (49)-(52); erratum E28",
        title="natural gradient updates agree under linear reparameterization",
        text="With theta = A theta', the update made in theta' is A^{-1} times the one made in theta, step after step.",
        latex=(
            r"\theta-\alpha F(\theta)^{-1}\nabla\ell(\theta)"
            r"=A\bigl(\theta'-\alpha F'(\theta')^{-1}\nabla\ell'(\theta')\bigr)"
        ),
        hypotheses=("A is invertible, and does not depend on theta'.", "F is nondegenerate at every point visited."),
        checks=(
            Check(
                "X",
                "arbitrary F and gradient at each point",
                linear_reparameterization,
                PLANE,
                "GF(p)",
                recipe="J-49..52",
            ),
            Check("X", "one point in two frames", one_point_in_two_frames, PLANE, "GF(p)"),
            Check(
                "N",
                "arbitrary F and gradient at each point",
                linear_reparameterization,
                LARGE,
                "floating",
                condition_power=4,
            ),
            Check("N", "one point in two frames", one_point_in_two_frames, PLANE, "floating", condition_power=4),
            Check("C", "A depends on theta'", matrix_that_depends_on_the_point, CURVED, "GF(p)"),
        ),
        mutants=(
            Mutant("gradient descent", linear_reparameterization, PLANE[-1]),
            Mutant("F' = A F A^T", linear_reparameterization, PLANE[-1]),
            Mutant("beta I added to both", linear_reparameterization, PLANE[-1]),
            Mutant("gradient descent in the frame", one_point_in_two_frames, PLANE[-1]),
        ),
        objects=("metrics.MetricTensor.sharp", "spaces.BaseFrame"),
    ),
    Statement(
        id="J-53/54",
        source="J C, (53), (54); erratum E29",
        title="a divergence, pulled back, gives a positive semidefinite form",
        text=(
            "If f(a, b) is least, and 0, at b = a, then the second derivative of h(x, y) = f(g(x), g(y)) at y = x is "
            "f's, "
            "pulled back along g: a positive semidefinite form, perhaps degenerate."
        ),
        latex=r"M(x)=\partial g(x)^\top\,\partial^2_{22}f(g(x),g(x))\,\partial g(x)",
        hypotheses=("f(a, .) is least at a.", "f and g are twice differentiable."),
        checks=(
            Check("S", "arbitrary f and g", divergence_pulled_back, DIVERGENCE, "symbols"),
            Check("N", "half the squared distance, a network", least_squares_distance, NETS, "floating"),
            Check(
                "C",
                "f(a, .) not least at a",
                divergence_pulled_back,
                DIVERGENCE[1:2],
                "symbols",
                drops="f(a, .) is not least at a",
            ),
            Check("C", "nondegenerate for |a - b|^4", fourth_power_of_the_distance, (Sizes((2,)),), "symbols"),
            Check(
                "C", "nondegenerate where g is no immersion", not_an_immersion, (Sizes((2, 1)), Sizes((4, 2))), "GF(p)"
            ),
        ),
        mutants=(
            Mutant("Jacobian on one side", divergence_pulled_back, DIVERGENCE[-1], "symbols"),
            Mutant("a negative weight", least_squares_distance, NETS[-1], "floating"),
        ),
        objects=("metrics.PullbackMetric", "networks.MLP.gauss_newton_metric"),
    ),
    Statement(
        id="J-8-store",
        source="J 8, after (37)",
        title="what is stored: dense, block diagonal, Kronecker-factored, diagonal",
        text=(
            "For layers with n inputs and m outputs: the dense matrix has (sum m (n + 1))^2 entries, its diagonal "
            "blocks "
            "sum (m (n + 1))^2, their Kronecker factors sum (m^2 + (n + 1)^2).  The paper's example leaves the bias "
            "out."
        ),
        latex=r"\Bigl(\sum_k m_k(n_k+1)\Bigr)^2\;\ge\;\sum_k m_k^2(n_k+1)^2\;\ge\;\sum_k\bigl(m_k^2+(n_k+1)^2\bigr)",
        hypotheses=("None.",),
        checks=(
            Check("S", "formulas, and the paper's example", storage_in_symbols, (Sizes((1,)),), "symbols"),
            Check("X", "the package's operators", storage, LAYERS, "Q"),
        ),
        mutants=(
            Mutant("the bias counted", storage_in_symbols, Sizes((1,)), "symbols"),
            Mutant("one factor for each layer", storage, LAYERS[-1], "Q"),
        ),
        objects=("operators.BlockDiagonal", "operators.KroneckerProduct"),
    ),
)
