"""NN 2: Newton's method, descent, preconditioning, invariance, and the idealized proximal objective."""

from __future__ import annotations

import sympy

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.metrics import Bernoulli, DenseTensor
from geomkfac.spaces import AffineSpace, VectorSpace
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, given, order, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.basis_groups import random_change
from geomkfac.theorems.instances.calculus import expressions, gradient, hessian, quadratic, variables


# -- Newton --------------------------------------------------------------------------------------------------
def newton_steps_as_minimizers(world: World) -> Comparisons:
    """``w_0 - (H + eta)^{-1} grad`` minimizes the quadratic model plus ``eta/2 |w - w_0|^2``; eta = 0: Newton's
    step.
    """
    (n,) = world.sizes.widths
    w, origin = variables("w", n), variables("w^0", n)
    eta = sympy.Symbol("eta", positive=True)
    J = quadratic(world, w, "J")
    H, g = sympy.Matrix(hessian(J, w)), sympy.Matrix(gradient(J, w))
    here = dict(zip(w, origin, strict=True))
    difference = sympy.Matrix(w) - sympy.Matrix(origin)
    model = (g.subs(here).T * difference)[0] + (difference.T * H.subs(here) * difference)[0] / 2
    proximal = model + eta / 2 * (difference.T * difference)[0]
    for name, objective, damping in (("Newton", model, 0), ("damped", proximal, eta)):
        sign = -1 if world.planted("damping of the wrong sign") else 1
        step = -(H + sign * damping * sympy.eye(n)).inv() * g.subs(here)
        at = dict(zip(w, sympy.Matrix(origin) + step, strict=True))
        slope = sympy.Matrix(gradient(objective, w)).subs(at, simultaneous=True)
        yield same(f"gradient at the {name} step", expressions(world, list(slope)), world.ns.zeros((n,)))
    whole = (g.subs(here).T * difference)[0] + J.subs(here) + (difference.T * H.subs(here) * difference)[0] / 2
    yield same("(1): a quadratic is its model", expressions(world, [J]), expressions(world, [whole]))


def overshoot_in_symbols(world: World) -> Comparisons:
    """On the logistic loss Newton's step from a logit z is ``1 + e^{-z}``: exponentially long where the model is
    wrong.
    """
    (z,) = variables("z", 1)
    loss = sympy.log(1 + sympy.exp(-z))
    step = -sympy.diff(loss, z) / sympy.diff(loss, z, 2)
    claimed = 1 + sympy.exp(z) if world.planted("of the other target") else 1 + sympy.exp(-z)
    yield same("Newton's step", expressions(world, [step]), expressions(world, [claimed]))


def overshoot_of_the_family(world: World) -> Comparisons:
    """The same with the package's Bernoulli family: ``sharp`` of its Fisher metric; and damped steps stay below
    1/eta.
    """
    ns = world.ns.ordered("exponentials")
    space = AffineSpace("Z", 1, world.kind)
    frame = space.frame("z")
    z = -ns.abs(world.array(1)) * 3.0
    point = space.from_coordinates(z[None, :], frame)
    loss = Bernoulli().on(frame)
    dh = loss.differential(point, ns.ones((1, 1))).sum()
    g = loss.fisher(point).expectation()
    step = -g.sharp(dh).coordinates(frame.linear)
    yield same("Newton's step", step, 1.0 + ns.exp(-z) if not world.planted("1 + e^z") else 1.0 + ns.exp(z))
    eta = 0.25
    damped = -(g.damped(DenseTensor.from_coordinates(ns.eye(1), frame.linear), eta).sharp(dh)).coordinates(frame.linear)
    yield same(
        "damped: at most |grad| / eta", bool(ns.norm(damped) <= ns.norm(dh.coordinates(frame.linear.dual)) / eta), True
    )


# -- descent -------------------------------------------------------------------------------------------------
def preconditioned_descent(world: World) -> Comparisons:
    """``dh(-R R^T grad) = -|R^T grad|^2``: a negative square, for any preconditioner; by the package's sharp."""
    (n,), ns = world.sizes.widths, world.ns
    V = VectorSpace("V", n, world.kind)
    e = V.frame("e")
    R, grad = world.invertible(n, name="R"), world.array(n, name="g")
    g = DenseTensor.from_coordinates(ns.inverse(R @ R.mT), e)
    dh = V.dual.from_coordinates(grad, e.dual)
    roots = R @ grad if world.planted("R for its transpose") else R.mT @ grad
    yield same("slope along the step", dh(-g.sharp(dh)), -ns.sum(roots * roots))


def steepest_of_semidefinite(world: World) -> Comparisons:
    """With a preconditioner that is semidefinite alone the slope is negative: it can be 0 (erratum E26)."""
    ns = world.ns
    (n,) = world.sizes.widths
    P = ns.concat([ns.eye(n)[:-1, :], ns.zeros((1, n))], axis=0)
    if world.planted("positive definite"):
        P = ns.eye(n)
    grad = ns.eye(n)[-1, :]
    slope = ns.to_numpy(-ns.sum(grad * (P @ grad))).item()
    yield given("P is positive semidefinite", ns.is_positive_semidefinite(P), True)  # type: ignore[attr-defined]
    yield same("the slope is negative", bool(slope < 0), True)


def a_small_step_descends(world: World) -> Comparisons:
    """Along ``-A grad`` a function falls at the rate ``-grad^T A grad``: the change less that falls like the step
    squared.
    """
    (n,), ns = world.sizes.widths, world.ns.ordered("lengths")
    w, a, R = world.array(n), world.array(n), world.invertible(n)
    A = R @ R.mT

    def cost(x: Array) -> Array:
        return ns.sum(ns.log1p(ns.exp(a * x))) + ns.sum(x * x) * 0.5

    grad = a / (1.0 + ns.exp(-a * w)) + w
    v = -(A @ grad)
    if world.planted("ascent"):
        v = -v
    slope = -ns.sum(grad * (A @ grad))
    steps = [2.0**-k for k in range(12, 18)]
    yield order(
        "change less its rate, in the step",
        steps,
        [abs(float(cost(w + v * h) - cost(w) - slope * h)) for h in steps],
        2,
    )
    yield same("the cost falls", bool(float(cost(w + v * steps[-1])) < float(cost(w))), True)


# -- preconditioning -----------------------------------------------------------------------------------------
def _quadratic_cost(ns: Namespace, H: Array, g: Array, w: Array) -> Array:
    return ns.sum(g * w) + ns.sum(w * (H @ w)) / 2


def gradient_in_another_basis(world: World) -> Comparisons:
    """``grad J~(w~) = R^T grad J(T(w~))`` where ``T(w~) = R w~ + b``: the point is T(w~) (erratum E23).

    J is an arbitrary quadratic; its gradient by central differences, which are exact.
    """
    (n,), ns = world.sizes.widths, world.ns
    H, g = world.array(n, n, name="H"), world.array(n, name="g")
    R, b, there = world.invertible(n, name="R"), world.array(n, name="b"), world.array(n, name="w")
    H = H + H.mT

    def transformed(x: Array) -> Array:
        return _quadratic_cost(ns, H, g, R @ x + b)

    point = R @ there + b
    if world.planted("at T^{-1}(w~), as printed"):
        point = ns.solve(R, (there - b)[:, None])[:, 0]
    expected = R.mT @ (g + H @ point)
    eye = ns.eye(n)
    for i in range(n):
        slope = (transformed(there + eye[i, :]) - transformed(there - eye[i, :])) / 2
        yield same(f"derivative {i + 1}", slope, expected[i])


def preconditioning_is_descent_elsewhere(world: World) -> Comparisons:
    """Descent in ``w~`` with ``w = R w~ + b`` is descent in w preconditioned by ``R R^T``; the Hessian there is ``R^T
    H R``.
    """
    (n,), ns = world.sizes.widths, world.ns
    H, g = world.array(n, n, name="H"), world.array(n, name="g")
    R, b, w = world.invertible(n, name="R"), world.array(n, name="b"), world.array(n, name="w")
    rate = world.number("\\alpha")
    H = H + H.mT
    grad = g + H @ w
    there = ns.solve(R, (w - b)[:, None])[:, 0]
    moved = R @ (there - rate * (R.mT @ grad)) + b
    P = R.mT @ R if world.planted("R^T R") else R @ R.mT
    yield same("the step", moved, w - rate * (P @ grad))

    def transformed(x: Array) -> Array:
        return _quadratic_cost(ns, H, g, R @ x + b)

    u, v = world.array(n), world.array(n)
    second = transformed(there + u + v) - transformed(there + u) - transformed(there + v) + transformed(there)
    form = R @ H @ R.mT if world.planted("R H R^T") else R.mT @ H @ R
    yield same("second difference", second, ns.sum(u * (form @ v)))


def newton_whitens_the_hessian(world: World) -> Comparisons:
    """With ``R R^T = H^{-1}`` the Hessian becomes the identity; with ``(H + eta)^{-1}`` its eigenvalues are nu/(nu +
    eta).

    Built from roots: H = Q diag(nu) Q^T with Q orthogonal (Cayley) and nu + eta = 1 / r^2.
    """
    (n,), ns = world.sizes.widths, world.ns
    Q, _ = random_change(world, "orthogonal", n)
    r, eta = world.positive(n, name="r"), world.number("\\eta") if world.is_exact else ns.scalar(0.01)
    if not world.is_exact:
        r = 1.0 / r
    nu = 1 / (r * r) - eta
    H = (Q * nu) @ Q.mT
    R = (Q * r) @ Q.mT
    damped = 1 if world.planted("eigenvalues 1") else nu / (nu + eta)
    yield same("damped", R.mT @ H @ R, (Q * damped) @ Q.mT)
    H = (Q * (1 / (r * r))) @ Q.mT
    yield same("undamped", R.mT @ H @ R, ns.eye(n))


# -- invariance ----------------------------------------------------------------------------------------------
def newton_in_two_parameterizations(world: World) -> Comparisons:
    """Newton and Gauss-Newton, undamped: ``w = R w~ + b`` stays true, step after step.

    Gradient, Hessian, and Jacobian with output Hessian are arbitrary at each point reached.
    """
    (n,), ns = world.sizes.widths, world.ns
    R, b, w = world.invertible(n, name="R"), world.array(n, name="b"), world.array(n, name="w")
    rate = world.number("\\alpha")
    for method in ("Newton", "Gauss-Newton"):
        here, there = w, ns.solve(R, (w - b)[:, None])[:, 0]
        for step in range(1, world.sizes.steps + 1):
            grad = world.array(n, name="g")
            if method == "Newton":
                H = world.invertible(n, name="H")
                H = H + H.mT
            else:
                J, M = world.invertible(n, name="J"), world.invertible(n, name="H_z")
                H = J.mT @ (M @ M.mT) @ J
            H_there = R.mT @ H @ R
            if world.planted("damping by eta I"):
                H, H_there = H + ns.eye(n), H_there + ns.eye(n)
            if world.planted("H kept as it is"):
                H_there = H
            here = here - rate * ns.solve(H, grad[:, None])[:, 0]
            there = there - rate * ns.solve(H_there, (R.mT @ grad)[:, None])[:, 0]
            yield same(f"{method}, w = R w~ + b after step {step}", here, R @ there + b)


# -- the proximal objective ----------------------------------------------------------------------------------
def _proximal(world: World, lam_f: float, lam_w: float) -> tuple[Array, Array, Array, Array]:
    """Minimize (11): logistic regression on features, the loss of one batch, function space proximity on another.

    Returns the minimizer, w_0, the gradient of the loss at w_0, and the features of the second batch.
    """
    (n,), ns = world.sizes.widths, world.ns.ordered("exponentials")
    rng = world.sizes.data
    X, others, w0 = world.array(rng, n), world.array(rng, n), world.array(n) * 0.5
    y = 1.0 / (1.0 + ns.exp(-world.array(rng)))

    def probability(x: Array) -> Array:
        return 1.0 / (1.0 + ns.exp(-x))

    before = others @ w0

    def slope(w: Array) -> Array:
        loss = X.mT @ (probability(X @ w) - y) / rng
        # rho(z, z_0) = 1/2 |z - z_0|^2, the divergence of a Gaussian.
        return loss + lam_f * (others.mT @ (others @ w - before)) / rng + lam_w * (w - w0)

    w = w0
    for _ in range(60):
        p = probability(X @ w)
        H = X.mT @ (X * (p * (1.0 - p))[:, None]) / rng + lam_f * (others.mT @ others) / rng + lam_w * ns.eye(n)
        w = w - ns.solve(H, slope(w)[:, None])[:, 0]
    first = X.mT @ (probability(X @ w0) - y) / rng
    return w, w0, first, others


def proximal_minimizer(world: World) -> Comparisons:
    """Minimized, (11) tends to a gradient step for large weight space proximity, and for large function space
    proximity the predictions on the other batch stay: both gaps vanish like the inverse of the weight.
    """
    ns = world.ns.ordered("lengths")
    inverses = [2.0**-k for k in range(7, 13)]
    to_gradient, kept = [], []
    stream = world.rng.bit_generator.state
    for inverse in inverses:
        world.rng.bit_generator.state = stream
        w, w0, first, _ = _proximal(world, 0.0, 1.0 / inverse)
        scale = 2.0 if world.planted("twice the gradient step") else 1.0
        to_gradient.append(ns.norm((w - w0) / inverse + scale * first) / ns.norm(first))
        world.rng.bit_generator.state = stream
        w, w0, _, others = _proximal(world, 0.0 if world.planted("no function space proximity") else 1.0 / inverse, 1.0)
        kept.append(ns.norm(others @ (w - w0)))
    yield order("minimizer less gradient step, over the step, in 1 / lambda_WSP", inverses, to_gradient, 1)
    yield order("change of the other predictions, in 1 / lambda_FSP", inverses, kept, 1)


LINE = (Sizes((1,)), Sizes((2,)), Sizes((4,)))
SYMBOLIC = (Sizes((1,)), Sizes((2,)))
TWICE = (Sizes((1,), steps=2), Sizes((2,), steps=2), Sizes((4,), steps=2))
BATCH = (Sizes((3,), 12),)

STATEMENTS = (
    Statement(
        id="NN-3..5",
        source="NN 2.1, (1)-(5)",
        title="Newton's method, undamped and damped, as minimization",
        text=(
            "Newton's step minimizes the quadratic model; the damped one minimizes it plus eta/2 times the squared "
            "distance.  "
            "On the logistic loss the undamped step is 1 + e^{-z}: it overshoots exponentially, the damped one does "
            "not."
        ),
        latex=r"\mathbf w'=\mathbf w_0-(\mathbf H+\eta\mathbf I)^{-1}\nabla\mathcal J(\mathbf w_0)",
        hypotheses=("H + eta is positive definite.",),
        checks=(
            Check("S", "minimizers", newton_steps_as_minimizers, SYMBOLIC, "symbols"),
            Check("S", "overshoot", overshoot_in_symbols, SYMBOLIC[:1], "symbols"),
            Check("N", "overshoot of the Bernoulli family", overshoot_of_the_family, LINE[:1], "floating"),
        ),
        mutants=(
            Mutant("damping of the wrong sign", newton_steps_as_minimizers, SYMBOLIC[-1], "symbols"),
            Mutant("of the other target", overshoot_in_symbols, SYMBOLIC[0], "symbols"),
            Mutant("1 + e^z", overshoot_of_the_family, LINE[0], "floating"),
        ),
        objects=("metrics.Bernoulli", "metrics.MetricTensor.damped"),
    ),
    Statement(
        id="NN-6",
        source="NN (6); erratum E26",
        title="any positive definite preconditioner gives a descent direction",
        text=(
            "Along -R R^T grad a function falls at the rate |R^T grad|^2; a semidefinite preconditioner may give rate "
            "0."
        ),
        latex=r"-\nabla\mathcal J^\top\mathbf R\mathbf R^\top\nabla\mathcal J=-|\mathbf R^\top\nabla\mathcal J|^2<0",
        hypotheses=("R is invertible, and the gradient not zero.",),
        checks=(
            Check("X", "a negative square", preconditioned_descent, LINE, "GF(p)"),
            Check("N", "a negative square", preconditioned_descent, LINE, "floating"),
            Check("N", "the cost falls", a_small_step_descends, LINE, "floating"),
            Check("C", "semidefinite alone", steepest_of_semidefinite, (Sizes((2,)),), "Q"),
        ),
        mutants=(
            Mutant("R for its transpose", preconditioned_descent, LINE[-1]),
            Mutant("ascent", a_small_step_descends, LINE[-1], "floating"),
        ),
        objects=("metrics.MetricTensor.sharp",),
    ),
    Statement(
        id="NN-8/9",
        source="NN 2.2, (7)-(9); erratum E23",
        title="preconditioning is gradient descent in other coordinates",
        text=(
            "Descent preconditioned by R R^T is descent in the coordinates w = R w~ + b, where the Hessian is R^T H "
            "R: the "
            "identity for Newton's preconditioner, with eigenvalues nu / (nu + eta) for the damped one."
        ),
        latex=(
            r"\tilde{\mathbf H}=\mathbf R^\top\mathbf H\mathbf R,\qquad(\mathbf H+\eta\mathbf I)^{-1/2}\mathbf H("
            r"\mathbf H+\eta\mathbf I)^{-1/2}"
        ),
        hypotheses=("R is invertible.",),
        checks=(
            Check("X", "step and Hessian", preconditioning_is_descent_elsewhere, LINE, "GF(p)"),
            Check("X", "Newton, from chosen roots", newton_whitens_the_hessian, LINE, "GF(p)"),
            Check("N", "step and Hessian", preconditioning_is_descent_elsewhere, LINE, "floating"),
            Check("N", "Newton, from chosen roots", newton_whitens_the_hessian, LINE, "floating", condition_power=4),
        ),
        mutants=(
            Mutant("R^T R", preconditioning_is_descent_elsewhere, LINE[-1]),
            Mutant("R H R^T", preconditioning_is_descent_elsewhere, LINE[-1]),
            Mutant("eigenvalues 1", newton_whitens_the_hessian, LINE[-1]),
        ),
        objects=("spaces.BaseFrame",),
    ),
    Statement(
        id="NN-2.3",
        source="NN 2.3",
        title="Newton and Gauss-Newton are affinely invariant, undamped",
        text="Undamped Newton and Gauss-Newton updates agree under w = R w~ + b, step after step; damped ones do not.",
        latex=r"\mathbf w^{(k)}=\mathbf R\tilde{\mathbf w}^{(k)}+\mathbf b",
        hypotheses=("R, and H or J^T H_z J, are invertible.",),
        checks=(
            Check("X", "arbitrary derivatives at each point", newton_in_two_parameterizations, TWICE, "GF(p)"),
            Check("C", "damped", newton_in_two_parameterizations, TWICE, "GF(p)", drops="damping by eta I"),
        ),
        mutants=(
            Mutant("H kept as it is", newton_in_two_parameterizations, TWICE[-1]),
            Mutant("damping by eta I", newton_in_two_parameterizations, TWICE[-1]),
        ),
        objects=("metrics.MetricTensor.sharp",),
    ),
    Statement(
        id="NN-10/11",
        source="NN 2.4, 3, (10), (11); drawn by examples/06_the_proximal_objective.py",
        title="the idealized proximal objective",
        text=(
            "Loss on a batch, plus function space proximity, plus weight space proximity, minimized: for strong "
            "weight space "
            "proximity a gradient step, for strong function space proximity the other predictions stay as they were."
        ),
        latex=(
            r"\mathcal Q(\mathbf w)=\mathcal L_{\mathcal B}(\mathbf w)+\lambda_{\mathrm{FSP}}\,\rho_{\mathcal B'}"
            r"(\mathbf w,\mathbf w_0)+\tfrac{\lambda_{\mathrm{WSP}}}{2}|\mathbf w-\mathbf w_0|^2"
        ),
        hypotheses=("The loss is convex, so that the minimum is one.",),
        checks=(Check("N", "both limits, logistic regression", proximal_minimizer, BATCH, "floating"),),
        mutants=(
            Mutant("twice the gradient step", proximal_minimizer, BATCH[-1], "floating"),
            Mutant("no function space proximity", proximal_minimizer, BATCH[-1], "floating"),
        ),
    ),
)
