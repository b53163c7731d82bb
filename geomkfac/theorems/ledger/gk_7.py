"""GK-7, GK-8: softmax's null direction, a natural choice of solution, and what the array pseudo-inverse chooses."""

from __future__ import annotations

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import OrderedNamespace
from geomkfac.metrics import Categorical
from geomkfac.spaces import AffineSpace
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, given, order, same
from geomkfac.theorems.engine.world import Sizes, World


def _softmax_form(world: World) -> tuple[Array, Array]:
    """``G = E[diag(p) - p p^T]`` and ``u = E[p]`` for arbitrary distributions p_n, which sum to 1: arrays (m, m),
    (m,).
    """
    (m,), ns = world.sizes.widths, world.ns
    q, s = world.positive(world.sizes.data, m, name="p"), world.positive(world.sizes.data, name="s")
    p = q / ns.sum(q, axis=1)[:, None]
    shares = s / ns.sum(s)
    u = ns.sum(p * shares[:, None], axis=0)
    return ns.eye(m) * u - (p * shares[:, None]).mT @ p, u


def natural_solution(world: World) -> Comparisons:
    """``(G + u u^T) x = b``, b annihilated by the constants, has ``G x = b`` and ``u(x) = 0``: the same vector in
    every basis.

    b has several columns: for each of them.
    """
    (m,), ns = world.sizes.widths, world.ns
    G, u = _softmax_form(world)
    b = world.array(m, 2, name="b")
    b = b - ns.eye(m)[:, :1] * ns.sum(b, axis=0)
    if world.planted("a right-hand side that constants see"):
        b = b + ns.eye(m)[:, :1]
    U = u[:, None] * u[None, :]
    if world.planted("ridge"):
        U = ns.eye(m)
    x = ns.solve(G + U, b)
    yield same("G x = b", G @ x, b)
    yield same("u(x) = 0", u[None, :] @ x, ns.zeros((1, 2)))
    Phi = world.invertible(m, name="\\Phi")
    U_there = ns.eye(m) if world.planted("ridge") else Phi.mT @ U @ Phi
    there = ns.solve(Phi.mT @ G @ Phi + U_there, Phi.mT @ b)
    yield same("in another basis", Phi @ there, x)


def same_vector_in_another_basis(world: World) -> Comparisons:
    """With a ridge, a multiple of the identity in whatever basis, the solution is the same vector: it is not."""
    (m,), ns = world.sizes.widths, world.ns
    G, _ = _softmax_form(world)
    b = world.array(m, 1, name="b")
    b = b - ns.eye(m)[:, :1] * ns.sum(b, axis=0)
    Phi = world.invertible(m, name="\\Phi")
    one = ns.solve(G + ns.eye(m), b)
    two = ns.solve(Phi.mT @ G @ Phi + ns.eye(m), Phi.mT @ b)
    yield same("in another basis", Phi @ two, one)


def positive_definite(world: World) -> Comparisons:
    """G is semidefinite and annihilates the constants; G + u u^T is positive definite."""
    (m,), ns = world.sizes.widths, world.ns
    G, u = _softmax_form(world)
    constants = ns.ones((m, 1))
    U = u[:, None] * u[None, :]
    if world.planted("u without its mean"):
        U = (u - ns.sum(u) / m)[:, None] * (u - ns.sum(u) / m)[None, :]
    yield given("G (1, ..., 1) = 0", G @ constants, constants * 0)
    yield same("G is positive semidefinite", ns.is_positive_semidefinite(G), True)  # type: ignore[attr-defined]
    yield same("G + u u^T is positive definite", ns.is_positive_definite(G + U), True)  # type: ignore[attr-defined]


def of_the_package(world: World) -> Comparisons:
    """The package's categorical metric and ``u = d logsumexp``, a covector, in two frames of the logits."""
    (m,), ns = world.sizes.widths, world.ns
    space = AffineSpace("Z", m, world.kind)
    iota = space.frame("iota")
    kappa = iota.change(world.for_frames(world.invertible(m)))
    points = space.from_coordinates(world.array(world.sizes.data, m), iota)
    family = Categorical().on(iota)
    g = family.fisher(points).expectation()
    p = family.predictions(points)
    u = space.direction.dual.from_coordinates(ns.sum(p, axis=0) / world.sizes.data, iota.linear.dual)
    targets = Categorical().predictions(ns, world.array(world.sizes.data, m))
    dh = family.differential(points, targets).sum() * (1 / world.sizes.data)
    solutions = []
    for frame in (iota, kappa):
        G, row, b = g.coordinates(frame.linear), u.coordinates(frame.linear.dual), dh.coordinates(frame.linear.dual)
        U = ns.eye(m) if world.planted("ridge in either frame") else row[:, None] * row[None, :]
        x = ns.solve(G + U, b[:, None])[:, 0]
        solutions.append(space.direction.from_coordinates(x, frame.linear))
    yield same("in both frames", solutions[0], solutions[1], iota.linear)
    yield same(
        "flat(x) + u = dh + u",
        (g.flat(solutions[0]) + u).coordinates(iota.linear.dual),
        (dh + u).coordinates(iota.linear.dual),
    )
    yield same("u(x) + 1 = 1", u(solutions[0]) + 1.0, ns.ones(()))


# -- the array pseudo-inverse --------------------------------------------------------------------------------
def _pseudo_solve(ns: OrderedNamespace, form: Array, b: Array, rank: int) -> Array:
    """The solution of least Euclidean length, in these coordinates: what an array pseudo-inverse gives."""
    values, vectors = ns.eigh(form)
    kept, basis = values[-rank:], vectors[:, -rank:]
    solution: Array = basis @ ((basis.mT @ b) / kept)
    return solution


def _softmax_steps(world: World) -> tuple[OrderedNamespace, Array, Array, Array]:
    """Logits z, and the pseudo-inverse's step made in two bases, both read in the first, over the first's length."""
    (m,), ns = world.sizes.widths, world.ns.ordered("eigenvalues")
    z, y = world.array(m), Categorical().predictions(ns, world.array(1, m))[0, :]
    p = Categorical().predictions(ns, z[None, :])[0, :]
    G, grad = p[:, None] * ns.eye(m) - p[:, None] * p[None, :], p - y
    Phi = world.invertible(m)
    if world.planted("an orthogonal basis"):
        Phi, _ = ns.qr(Phi)
    one = _pseudo_solve(ns, G, grad, m - 1)
    two = Phi @ _pseudo_solve(ns, Phi.mT @ G @ Phi, Phi.mT @ grad, m - 1)
    length = ns.norm(one)
    return ns, z, one / length, two / length


def pseudo_inverse_gives_one_vector(world: World) -> Comparisons:
    """The array pseudo-inverse's step on softmax logits is one vector, in whatever basis: it is not."""
    ns, z, one, two = _softmax_steps(world)
    p = [Categorical().predictions(ns, (z - step)[None, :]) for step in (one, two)]
    yield given("the distributions after the step", p[0], p[1])
    yield same("the step", one, two)


def pseudo_inverse_gives_one_distribution(world: World) -> Comparisons:
    """But both steps lead to the same distribution: they differ by a constant on all logits."""
    ns, z, one, two = _softmax_steps(world)
    if world.planted("null direction of another metric"):
        two = two + ns.eye(z.shape[0])[0, :]
    yield same(
        "the distributions after the step",
        Categorical().predictions(ns, (z - one)[None, :]),
        Categorical().predictions(ns, (z - two)[None, :]),
    )


def _linear_steps(world: World, *, in_range: bool) -> tuple[Array, Array, Array, Array]:
    """Fewer data than parameters: the pseudo-inverse's steps in two bases, and inputs on and off the training set.

    A linear function with squared loss; the statistics of the metric are of the training data, the differential
    of them too or, not `in_range`, of others.
    """
    (n,), ns = world.sizes.widths, world.ns.ordered("eigenvalues")
    count = world.sizes.data
    X, fresh, others, residual = world.array(count, n), world.array(count, n), world.array(count, n), world.array(count)
    G = X.mT @ X / count
    grad = (X if in_range else others).mT @ residual / count
    R = world.invertible(n)
    one = _pseudo_solve(ns, G, grad, count)
    two = R @ _pseudo_solve(ns, R.mT @ G @ R, R.mT @ grad, count)
    return one, two, X, fresh


def one_function_off_the_training_set(world: World) -> Comparisons:
    """On the training data both steps change the function alike; on fresh inputs too: they do not."""
    one, two, X, fresh = _linear_steps(world, in_range=True)
    yield given("change of the function on the training data", X @ one, X @ two)
    yield same("on fresh inputs", fresh @ one, fresh @ two)


def differential_out_of_range(world: World) -> Comparisons:
    """Where the differential leaves the metric's range, both steps change the function alike on the training data: not
    even there.
    """
    one, two, X, _ = _linear_steps(world, in_range=False)
    yield same("change of the function on the training data", X @ one, X @ two)


def gap_of_the_functions(world: World) -> Comparisons:
    """The two updates' functions off the training set differ at first order in the step: by as much as they move."""
    ns = world.ns.ordered("lengths")
    one, two, _, fresh = _linear_steps(world, in_range=True)
    if world.planted("one basis for both"):
        two = one
    steps = [2.0**-k for k in range(2, 8)]
    yield order(
        "gap between the functions, in the step size", steps, [ns.norm(fresh @ (one - two)) * h for h in steps], 1
    )


FORMS = (Sizes((2,), 2), Sizes((3,), 4))
ORDERED = (Sizes((2,), 2), Sizes((3,), 3))
LOGITS = (Sizes((4,), 10),)
WIDE = (Sizes((6,), 3),)

STATEMENTS = (
    Statement(
        id="GK-7",
        source="ours; docs/degenerate.md",
        title="softmax: a natural choice of solution",
        text=(
            "u = E[d logsumexp] is a covector on the logits that carries itself along.  G + u (x) u is positive "
            "definite, and "
            "where constants do not see the right-hand side its solution solves G x = b with u(x) = 0: one vector, "
            "whatever "
            "the basis.  It is a natural choice, and not the only one."
        ),
        latex=r"(G+u\otimes u)\,x=b\;\Longleftrightarrow\;Gx=b,\ u(x)=0\qquad\text{where }b(\mathbf 1)=0",
        hypotheses=("Probabilities are positive.", "b is annihilated by the constants."),
        checks=(
            Check("X", "the solution", natural_solution, FORMS, "GF(p)"),
            Check("X", "positive definite", positive_definite, ORDERED, "Q"),
            Check("N", "the package's categorical family", of_the_package, LOGITS, "floating", condition_power=4),
            Check("C", "ridge", same_vector_in_another_basis, FORMS, "GF(p)"),
        ),
        mutants=(
            Mutant("ridge", natural_solution, FORMS[-1]),
            Mutant("a right-hand side that constants see", natural_solution, FORMS[-1]),
            Mutant("u without its mean", positive_definite, ORDERED[-1], "Q"),
            Mutant("ridge in either frame", of_the_package, LOGITS[-1], "floating"),
        ),
        objects=("metrics.Categorical", "metrics.MetricTensor.minimal_solution"),
    ),
    Statement(
        id="GK-8",
        source="ours; docs/degenerate.md",
        title="what the array pseudo-inverse chooses",
        text=(
            "It gives another vector in another basis.  For softmax's null direction the distribution is the same all "
            "the same; "
            "with more parameters than data the function differs off the training set, at first order; and where the "
            "differential leaves the metric's range it differs on the training set too."
        ),
        latex=r"\Phi\,(\Phi^\top G\Phi)^+\Phi^\top b\ne G^+b",
        hypotheses=("The metric is degenerate, and the basis not orthogonal.",),
        checks=(
            Check("N", "softmax: one distribution", pseudo_inverse_gives_one_distribution, LOGITS, "floating"),
            Check("N", "off the training set: a gap of first order", gap_of_the_functions, WIDE, "floating"),
            Check("C", "softmax: one vector", pseudo_inverse_gives_one_vector, LOGITS, "floating"),
            Check("C", "one function off the training set", one_function_off_the_training_set, WIDE, "floating"),
            Check("C", "one function, out of range", differential_out_of_range, WIDE, "floating"),
        ),
        mutants=(
            Mutant("null direction of another metric", pseudo_inverse_gives_one_distribution, LOGITS[-1], "floating"),
            Mutant("one basis for both", gap_of_the_functions, WIDE[-1], "floating"),
        ),
        objects=("metrics.MetricTensor.sharp_coset", "metrics.MetricTensor.minimal_solution"),
    ),
)
