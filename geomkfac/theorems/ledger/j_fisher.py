"""J 2 to 5, 7, A: steepest descent, the Fisher metric from the KL divergence and as a covariance, Hessians.

Symbols for one datum and few outputs; in floating point the package's output families and networks.
"""

from __future__ import annotations

from typing import Any

import sympy

from geomkfac.arrays.array import Array
from geomkfac.metrics import Bernoulli, Categorical
from geomkfac.spaces import AffineSpace
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import abstract_network, all_at_once, random_direction
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
from geomkfac.theorems.instances.sweeps import Sweep


# -- the Fisher metric ---------------------------------------------------------------------------------------
def _categorical(z: Any) -> list[Any]:
    """Probabilities of outcomes 0, 1, ..., from logits."""
    total = sum(sympy.exp(each) for each in z)
    return [sympy.exp(each) / total for each in z]


def _mean(p: Any, f: Any) -> Any:
    """An expectation over outcomes; `f` maps an outcome's number to a list of expressions."""
    columns = [[weight * each for each in f(y)] for y, weight in enumerate(p)]
    return [sum(column) for column in zip(*columns, strict=True)]


def fisher_from_the_divergence(world: World) -> Comparisons:
    """KL(theta, .) and its gradient vanish at theta; its Hessian there is the covariance of the score, (11)-(13).

    Outcomes of a categorical variable whose logits are arbitrary quadratic functions of theta.
    """
    d, m = world.sizes.widths
    theta, other = variables(r"\theta", d), variables(r"\theta'", d)
    g = [quadratic(world, theta, f"g^{k + 1}") for k in range(m)]
    there = dict(zip(theta, other, strict=True))
    # At a point, theta = 0: the coefficients are arbitrary, so that nothing is lost.
    here = dict.fromkeys((*theta, *other), 0)
    p = _categorical(g)
    q = [each.subs(there) for each in p]
    divergence = sum(a * (sympy.log(a) - sympy.log(b)) for a, b in zip(p, q, strict=True))
    if world.planted("an outcome left out"):
        divergence = divergence - p[0] * (sympy.log(p[0]) - sympy.log(q[0]))
    if world.planted("log of the first alone"):
        divergence = -sum(sympy.log(b) for b in q)
    score = [gradient(sympy.log(each), theta) for each in p]
    fisher = [[sum(a * s[i] * s[j] for a, s in zip(p, score, strict=True)) for j in range(d)] for i in range(d)]

    def at(values: Any) -> Array:
        return expressions(world, sympy.Matrix(values).subs(here))

    yield same("KL(theta, theta)", at([divergence]), world.ns.zeros((1, 1)))
    yield same("its gradient", at([gradient(divergence, other)]), world.ns.zeros((1, d)))
    yield same("its Hessian is F", at(hessian(divergence, other)), at(fisher))


def score_symbolically(world: World) -> Comparisons:
    """E[score] = 0 and ``E[score score^T] = -E[Hessian of log p]``; categorical, and Gaussian in mean and log scale."""
    (m,) = world.sizes.widths
    z = variables("z", m)
    p = _categorical(z)
    if world.planted("targets drawn uniformly"):
        p = [sympy.Rational(1, m)] * m
    logs = [sympy.log(each) for each in _categorical(z)]
    score = [gradient(each, z) for each in logs]
    covariance = [_mean(p, lambda y, i=i: [score[y][i] * s for s in score[y]]) for i in range(m)]
    curvature = [_mean(p, lambda y, i=i: [-h for h in hessian(logs[y], z)[i]]) for i in range(m)]
    yield same("mean of the score", expressions(world, _mean(p, lambda y: score[y])), world.ns.zeros((m,)))
    yield same("covariance and curvature", expressions(world, covariance), expressions(world, curvature))

    mu, s, y = sympy.Symbol("mu", real=True), sympy.Symbol("s", positive=True), sympy.Symbol("y", real=True)
    log_density = -((y - mu) ** 2) / (2 * s**2) - sympy.log(s)
    score_of_two = gradient(log_density, (mu, s))
    yield same("mean of the score, Gaussian", _gaussian_mean(world, score_of_two, y, mu, s), world.ns.zeros((2,)))
    products = [a * b for a in score_of_two for b in score_of_two]
    second = [-h for row in hessian(log_density, (mu, s)) for h in row]
    yield same(
        "covariance and curvature, Gaussian",
        _gaussian_mean(world, products, y, mu, s),
        _gaussian_mean(world, second, y, mu, s),
    )


def _gaussian_mean(world: World, f: list[Any], y: Any, mu: Any, s: Any) -> Array:
    """Expectations of polynomials in y, by the Gaussian's moments."""
    t = sympy.Symbol("t", real=True)
    moments = {0: 1, 1: 0, 2: s**2, 3: 0, 4: 3 * s**4}
    found = []
    for each in f:
        polynomial = sympy.Poly(sympy.expand(each.subs(y, mu + t)), t)
        found.append(sum(c * moments[k] for (k,), c in polynomial.terms()))
    return expressions(world, found)


def score_of_the_families(world: World) -> Comparisons:
    """Over all outcomes, weighed by the family's own probabilities: mean of the loss gradient, and its covariance."""
    (m,), ns = world.sizes.widths, world.ns.ordered("probabilities")
    z = world.array(m)
    space = AffineSpace("Z", m, world.kind)
    frame = space.frame("z")
    family, fisher = Categorical(), Categorical().on(frame).fisher(space.from_coordinates(z[None, :], frame))
    p = family.predictions(ns, z[None, :])[0, :]
    targets = ns.eye(m)
    rows = family.loss_gradient(ns, ns.broadcast_to(z, (m, m)), targets)
    if world.planted("targets from the data alone"):
        p = targets[0, :]
    yield same("mean of the score: its two halves", ns.sum(rows * p[:, None], axis=0) + p, p)
    matrix = fisher.expectation().coordinates(frame.linear)
    yield same("its covariance is the family's Fisher matrix", (rows * p[:, None]).mT @ rows, matrix)

    q = Bernoulli().predictions(ns, z[None, :])[0, :]
    of_one, of_zero = (Bernoulli().loss_gradient(ns, z[None, :], ns.eye(1) * y + 0.0 * z[None, :]) for y in (1, 0))
    yield same("Bernoulli: mean of the score", of_one[0, :] * q, -of_zero[0, :] * (1.0 - q))
    covariance = of_one[0, :] * of_one[0, :] * q + of_zero[0, :] * of_zero[0, :] * (1.0 - q)
    point = space.from_coordinates(z[None, :], frame)
    diagonal = ns.diagonal(Bernoulli().on(frame).fisher(point).expectation().coordinates(frame.linear))
    yield same("Bernoulli: its covariance", covariance, diagonal)


# -- Hessians ------------------------------------------------------------------------------------------------
def hessian_of_a_composition(world: World) -> Comparisons:
    """``H = dg^T (d^2 f) dg + sum_k (d_k f) d^2 g_k``, (40): the second term is the curvature of g.

    Arbitrary f and g, up to third and second order, at an arbitrary point.
    """
    d, m = world.sizes.widths
    theta, z = variables(r"\theta", d), variables("z", m)
    g = [quadratic(world, theta, f"g^{k + 1}") for k in range(m)]
    f = quadratic(world, z, "f") + cubic(world, z, "h")
    here = dict.fromkeys(theta, 0)
    outputs = dict(zip(z, (each.subs(here) for each in g), strict=True))
    J = sympy.Matrix(jacobian(g, theta)).subs(here)
    M = sympy.Matrix(hessian(f, z)).subs(outputs)
    first = gradient(f, z)
    curvature = sum(
        (sympy.Matrix(hessian(each, theta)) * slope.subs(outputs) for each, slope in zip(g, first, strict=True)),
        sympy.zeros(d, d),
    ).subs(here)
    if world.planted("curvature of g left out"):
        curvature = sympy.zeros(d, d)
    if world.planted("one factor not transposed"):
        J = J.T
    composed = f.subs(dict(zip(z, g, strict=True)), simultaneous=True)
    H = sympy.Matrix(hessian(composed, theta)).subs(here)
    yield same("Hessian", expressions(world, H), expressions(world, J.T * M * J + curvature))


def fisher_vector_product(world: World) -> Comparisons:
    """``F v = E_x[J^T (M (J v))]``, (43): the network's own differentials, against its Fisher metric."""
    it = abstract_network(world)
    chunk, shares = all_at_once(it.data)
    v = random_direction(world, it.net, it.iota)
    sweep = Sweep(it.net, it.weights, chunk.points)
    pushed = sweep.pushforward(v)
    if world.planted("output metric left out"):
        outputs = it.net.outputs.direction
        covectors = outputs.dual.from_coordinates(pushed.coordinates(it.iota), it.iota)
    else:
        covectors = it.loss.fisher(sweep.outputs).flat(pushed)
    product = sweep.pullback(covectors, shares)
    flat = it.net.fisher_metric(it.weights, it.data, it.loss).flat(v)
    parts_of_both = zip(flat.coordinates(it.iota), product.coordinates(it.iota), strict=True)
    for i, (one, other) in enumerate(parts_of_both, start=1):
        yield same(f"layer {i} of F v", one, other)


def exponential_family(world: World) -> Comparisons:
    """With ``-log p = A(z) - <z, t(y)>`` the Hessian by z is A's, for every y; and F is the GGN matrix, (45)-(48).

    Categorical, Bernoulli and Poisson families; A the logarithm of their normalizing constant.
    """
    d, m = world.sizes.widths
    z = variables("z", m)
    theta = variables(r"\theta", d)
    g = [quadratic(world, theta, f"g^{k + 1}") for k in range(m)]
    here = dict.fromkeys(theta, 0)
    outputs = dict(zip(z, (each.subs(here) for each in g), strict=True))
    t = entries(world, world.array(m, name="t"))
    partition = sympy.log(sum(sympy.exp(each) for each in z))
    if world.planted("a loss that is not a likelihood"):
        partition = partition + t[0] * z[0] ** 2
    loss = partition - sum(a * b for a, b in zip(z, t, strict=True))
    A = sympy.Matrix(hessian(sympy.log(sum(sympy.exp(each) for each in z)), z))
    yield same(
        "Hessian of the loss, whatever y", expressions(world, sympy.Matrix(hessian(loss, z))), expressions(world, A)
    )
    p = sympy.Matrix(_categorical(z))
    yield same("the categorical family's", expressions(world, A), expressions(world, sympy.diag(*p) - p * p.T))
    J = sympy.Matrix(jacobian(g, theta)).subs(here)
    F = J.T * A.subs(outputs) * J
    probabilities = _categorical([outputs[each] for each in z])
    scores = [gradient(sympy.log(each), theta) for each in _categorical(g)]
    covariance = sympy.zeros(d, d)
    for weight, score in zip(probabilities, scores, strict=True):
        s = sympy.Matrix(score).subs(here)
        covariance += weight * s * s.T
    yield same("F is the GGN matrix", expressions(world, F), expressions(world, covariance))


def families_are_exponential(world: World) -> Comparisons:
    """In floating point: the families' Fisher matrices are second derivatives of the log-partition function."""
    (m,), ns = world.sizes.widths, world.ns.ordered("exponentials")
    space = AffineSpace("Z", m, world.kind)
    frame = space.frame("z")
    z = world.array(m)
    point = space.from_coordinates(z[None, :], frame)
    exponentials = ns.exp(z)
    p = exponentials / ns.sum(exponentials)
    expected = p[:, None] * ns.eye(m) - p[:, None] * p[None, :]
    if world.planted("the mean not subtracted"):
        expected = p[:, None] * ns.eye(m)
    matrix = Categorical().on(frame).fisher(point).expectation().coordinates(frame.linear)
    yield same("categorical", matrix, expected)
    logistic = 1.0 / (1.0 + ns.exp(-z))
    matrix = Bernoulli().on(frame).fisher(point).expectation().coordinates(frame.linear)
    yield same("Bernoulli", matrix, (logistic * (1.0 - logistic))[:, None] * ns.eye(m))


UNIT = (Sizes((2,), 200), Sizes((4,), 200))
SMALL = (Sizes((1, 2)), Sizes((2, 2)))
NETS = (Sizes((1, 1), 6, 1), Sizes((2, 3, 2), 20, 2))

STATEMENTS = (
    Statement(
        id="J-13",
        source="J (10)-(13)",
        title="the Fisher metric is the second-order term of the KL divergence",
        text="KL(theta, theta + d) is 1/2 d^T F d to lowest order, F the covariance of the score.",
        latex=r"\nabla^2_{22}\,\mathrm{KL}(\theta,\theta)=F(\theta)=\mathbb E\bigl[\nabla\xi\,\nabla\xi^\top\bigr]",
        hypotheses=("The support of the density does not depend on theta.",),
        checks=(Check("S", "a categorical variable, arbitrary logits", fisher_from_the_divergence, SMALL, "symbols"),),
        mutants=(
            Mutant("log of the first alone", fisher_from_the_divergence, SMALL[0], "symbols"),
            Mutant("an outcome left out", fisher_from_the_divergence, SMALL[0], "symbols"),
        ),
        objects=("metrics.FisherMetric",),
    ),
    Statement(
        id="J-19..22",
        source="J (19)-(22)",
        title="the Fisher matrix is the covariance of the score, which has mean zero",
        text="The score has mean 0; its covariance is minus the mean of the Hessian of the log-likelihood.",
        latex=r"\mathbb E[\nabla\xi]=0,\qquad\mathbb E[\nabla\xi\,\nabla\xi^\top]=-\mathbb E[\nabla^2\xi]",
        hypotheses=("Expectations over targets of the model, and not of the data.",),
        checks=(
            Check("S", "categorical and Gaussian", score_symbolically, (Sizes((2,)),), "symbols"),
            Check("N", "the families of the package", score_of_the_families, UNIT, "floating"),
        ),
        mutants=(
            Mutant("targets drawn uniformly", score_symbolically, Sizes((2,)), "symbols"),
            Mutant("targets from the data alone", score_of_the_families, UNIT[-1], "floating"),
        ),
        objects=("metrics.Categorical", "metrics.Bernoulli"),
    ),
    Statement(
        id="J-40..43",
        source="J (40)-(43)",
        title="the Hessian is the generalized Gauss-Newton matrix and a term of curvature",
        text=(
            "The Hessian of f(g(theta)) is dg^T (d^2 f) dg plus the curvature of g weighed by the gradient of f; the "
            "first term times a vector costs one forward and one backward pass."
        ),
        latex=r"H=J^\top MJ+\textstyle\sum_k\partial_kf\,\nabla^2g_k,\qquad Fv=\mathbb E_x\bigl[J^\top(M(Jv))\bigr]",
        hypotheses=("f and g are twice differentiable.",),
        checks=(
            Check("S", "arbitrary f and g", hessian_of_a_composition, (Sizes((1, 2)), Sizes((2, 2))), "symbols"),
            Check("N", "the product F v of a network", fisher_vector_product, NETS, "floating"),
        ),
        mutants=(
            Mutant("curvature of g left out", hessian_of_a_composition, Sizes((2, 2)), "symbols"),
            Mutant("one factor not transposed", hessian_of_a_composition, Sizes((2, 2)), "symbols"),
            Mutant("output metric left out", fisher_vector_product, NETS[-1], "floating"),
        ),
        objects=("networks.MLP.fisher_metric", "maps.SmoothMap"),
    ),
    Statement(
        id="J-46..48",
        source="J (44)-(48); erratum E30",
        title="for exponential families the Fisher matrix is a generalized Gauss-Newton matrix",
        text=(
            "With natural parameters as outputs, the Hessian of the loss by the outputs is that of the log-partition "
            "function, whatever the target; so the Fisher matrix is a generalized Gauss-Newton matrix."
        ),
        latex=(
            r"\nabla^2f=\nabla^2\mathcal A,\qquad F=\mathbb E_x\bigl[\nabla g\,\nabla^2\mathcal A(g)\,\nabla g^\top"
            r"\bigr]"
        ),
        hypotheses=("p is a regular exponential family, and g its natural parameter.",),
        checks=(
            Check("S", "log-partition function", exponential_family, (Sizes((1, 2)), Sizes((2, 2))), "symbols"),
            Check("N", "the families of the package", families_are_exponential, UNIT, "floating"),
        ),
        mutants=(
            Mutant("a loss that is not a likelihood", exponential_family, Sizes((1, 2)), "symbols"),
            Mutant("the mean not subtracted", families_are_exponential, UNIT[-1], "floating"),
        ),
        objects=("metrics.Categorical", "metrics.Bernoulli"),
    ),
)
