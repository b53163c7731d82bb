"""LG 3.3, 3.4 and remarks: output metrics pulled back, evaluation, sampled covectors, damping."""

from __future__ import annotations

import sympy

from geomkfac.maps import AffineMaps
from geomkfac.metrics import (
    EuclideanMetric,
    MetricTensor,
    PullbackMetric,
)
from geomkfac.spaces import AffineSpace, Hom, Hull, Parameterization, Point, Sample
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, order, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import (
    abstract_network,
    all_at_once,
    diagonal_metric,
    layers_of_data,
    random_direction,
)
from geomkfac.theorems.instances.calculus import cubic, expressions, hessian, quadratic, variables
from geomkfac.theorems.instances.textbook.fully_connected import total_of
from geomkfac.theorems.instances.updates import two_steps
from geomkfac.theorems.ledger.lg_2_1_fisher import per_datum_derivatives
from geomkfac.theorems.ledger.lg_3_4 import one_layer

E9 = "the gradient at y, as printed"


# -- output metrics ------------------------------------------------------------------------------------------
def fisher_as_an_expected_pullback(world: World) -> Comparisons:
    """The diagonal blocks of the Fisher metric are the expected pullbacks of the output Fisher metric, layer by
    layer.
    """
    it = abstract_network(world)
    matrix = it.net.fisher_metric(it.weights, it.data, it.loss).coordinates(it.iota)
    start = 0
    for i, layer in enumerate(layers_of_data(world, it, it.loss.metric), start=1):
        block = layer.expected_pullback.coordinates(it.iota)
        if world.planted("sum for mean"):
            block = block * world.sizes.data
        if world.planted("the block of one datum"):
            first = PullbackMetric(it.net.layers[i - 1].evaluation(layer.points), layer.metric_on_Z).at(
                it.net.weight_space.split(it.weights)[i - 1]
            )
            block = (first.expectation(world.ns.eye(world.sizes.data)[0, :])).coordinates(it.iota)  # type: ignore[attr-defined]
        stop = start + block.shape[0]
        yield same(f"block of layer {i}", matrix[start:stop, start:stop], block)
        start = stop


def gauss_newton(world: World) -> Comparisons:
    """``E[J^T J]``: the sum over the coordinates of one output basis of squared derivatives."""
    it = abstract_network(world)
    ns = world.ns
    output = EuclideanMetric(it.iota[it.net.outputs])
    weights, J = per_datum_derivatives(world, it, output)
    if world.planted("square of the mean derivative"):
        J, weights = weights[None, :] @ J, ns.ones((1,))
    matrix = it.net.gauss_newton_metric(it.weights, it.data, output).coordinates(it.iota)
    yield same("E[J^T J]", matrix, (J * weights[:, None]).mT @ J)


def gauss_newton_steps(world: World) -> Comparisons:
    """The update with weights and data stored in iota's frames, and in kappa's, the output basis being one and the
    same.
    """
    it = abstract_network(world)

    def metric(weights: Point, data: Sample, frames: Parameterization) -> MetricTensor:
        basis = frames if world.planted("another output basis") else it.iota
        return it.net.gauss_newton_metric(weights, data, EuclideanMetric(basis[it.net.outputs]))

    yield same("step", *two_steps(it, metric), it.iota[it.net.weight_space.direction])


def hessian_of_a_bregman_divergence(world: World) -> Comparisons:
    """``B(y, y') = F(y) - F(y') - <dF(y'), y - y'>`` has the Hessian of F at y = y', and neither value nor slope."""
    (m,) = world.sizes.widths
    y, other = variables("y", m), variables("y'", m)
    F = quadratic(world, y, "F") + cubic(world, y, "h")
    there = dict(zip(y, other, strict=True))
    where = y if world.planted(E9) else other
    slope = [sympy.diff(F, each).subs(dict(zip(y, where, strict=True)), simultaneous=True) for each in y]
    B = F - F.subs(there) - sum(s * (a - b) for s, a, b in zip(slope, y, other, strict=True))
    back = dict(zip(y, other, strict=True))
    at = expressions(world, [B.subs(back)])
    yield same("value", at, at * 0)
    H = sympy.Matrix(hessian(F, y)).subs(there)
    if world.planted("twice the Hessian"):
        H = H * 2
    yield same("Hessian", expressions(world, sympy.Matrix(hessian(B, y)).subs(back)), expressions(world, H))


def bregman_divergence_of_a_network(world: World) -> Comparisons:
    """``E B(f(w + h d), f(w)) = 1/2 h^2 G(d, d)`` and a remainder of third order; F(y) = sum exp(y), G = E[J^T H_F
    J].
    """
    ns = world.ns.ordered("exponentials")
    it = abstract_network(world)
    frame = it.iota[it.net.outputs]
    sign = -1 if world.planted("the Hessian's inverse") else 1
    output = diagonal_metric(ns, frame, lambda z: ns.exp(z * sign))
    G = it.net.gauss_newton_metric(it.weights, it.data, output)
    d = random_direction(world, it.net, it.iota)
    chunk, shares = all_at_once(it.data)
    y = it.net(it.weights, chunk.points).coordinates(it.iota)
    half = float(G(d, d)) / 2.0
    steps, gaps = [2.0**-k for k in range(6, 12)], []
    for h in steps:
        gap = 0.0
        for t in (h, -h):
            moved = it.net(it.weights + d * t, chunk.points).coordinates(it.iota)
            divergence = ns.exp(y) * (ns.expm1(moved - y) - (moved - y))
            gap += abs(float(ns.sum(divergence * shares[:, None])) - half * h * h)
        gaps.append(gap)
    yield order("remainder of the Bregman divergence, in the step", steps, gaps, 3, at_least=True)


# -- evaluation ----------------------------------------------------------------------------------------------
def evaluation_is_multiplication_by_a(world: World) -> Comparisons:
    """``TW = Hom(Hull(A), TZ)``, and the pushforward of evaluation at a takes v to v(a_bar)."""
    n, m = world.sizes.widths
    ns = world.ns
    A, Z = AffineSpace("A", n, world.kind), AffineSpace("Z", m, world.kind)
    iota = Parameterization([A.frame("iota"), Z.frame("iota")], name="iota")
    kappa = iota.random(world.rng, name="kappa")
    W = AffineMaps(A, Z)
    W_bar, V_bar, a = world.array(m, n + 1, name="W"), world.array(m, n + 1, name="V"), world.array(n, name="a")
    omega: Point = W.from_coordinates(W_bar, iota)
    v, alpha = W.direction.from_coordinates(V_bar, iota), A.from_coordinates(a, iota)
    yield same("TW is Hom(Hull(A), TZ)", W.direction is Hom(Hull(A), Z.direction), True)
    evaluation = W.evaluation(alpha.expressed_in(kappa))
    pushed = evaluation.pushforward(omega, v)
    one = ns.zeros((1,)) if world.planted("a as a vector, with weight 0") else ns.ones((1,))
    a_bar = ns.concat([a, one])
    if world.planted("the linear part alone, of another point"):
        a_bar = ns.concat([a + a, one])
    yield same("its value is omega(a)", evaluation(omega).coordinates(iota), W_bar @ ns.concat([a, ns.ones((1,))]))
    yield same("pushforward, in arrays", pushed.coordinates(iota), V_bar @ a_bar)
    yield same("pushforward: v applied to the hull's vector", pushed, v(Hull(A).of_point(alpha)), kappa)


def pullback_along_evaluation(world: World) -> Comparisons:
    """At one datum ``psi_a^* g = E[a (x) phi (x) a (x) phi]``: the matrix ``sum_k c_k (a_bar (x) phi_k)(a_bar (x)
    phi_k)^T``.
    """
    it, ns = one_layer(world), world.ns
    a_bar = it.a_bar(world)
    terms = []
    for n in range(world.sizes.data):
        for k in range(world.sizes.covectors):
            left, right = a_bar[n, :, None], it.covectors[k, n, :, None]
            if world.planted("covector first"):
                left, right = right, left
            row = ns.kron(left, right)
            coefficient = ns.ones(()) if world.planted("coefficients of the metric left out") else it.weights[k, n]
            terms.append(row @ row.mT * (coefficient * it.shares[n]))
    yield same("matrix", it.expected_pullback().coordinates(it.kappa), total_of(terms))


NETS = (Sizes((1, 1), 3, 1), Sizes((1, 2, 1), 4, 1), Sizes((2, 2, 2), 5, 2))
SYMBOLIC = (Sizes((1, 1), 2, 1),)
RANKED = (Sizes((1, 1), 2, 1), Sizes((1, 2, 1), 8, 1), Sizes((2, 2, 2), 8, 2))
MANY = (Sizes((2, 2, 2), 60, 2),)
OUTPUTS = (Sizes((1,)), Sizes((2,)))
PAIRS = (Sizes((1, 1)), Sizes((2, 2)), Sizes((3, 2)))
LAYER = (Sizes((1, 1), 1, 1), Sizes((2, 2), 1, 2), Sizes((3, 2), 4, 2))

STATEMENTS = (
    Statement(
        id="LG-E3.2",
        source="LG Example 3.2",
        title="the Fisher metric is an expected pullback",
        text="The expected pullback of the output Fisher metric is the Fisher metric.",
        latex=r"g_{\mathrm{Fisher}}=\mathbb E_\xi[\Psi_\xi^*\,g_{\mathrm{out}}]",
        hypotheses=("None: the metric may be degenerate.",),
        checks=(
            Check("X", "layer by layer", fisher_as_an_expected_pullback, NETS, "GF(p)"),
            Check("S", "layer by layer", fisher_as_an_expected_pullback, SYMBOLIC, "symbols"),
            Check("N", "layer by layer", fisher_as_an_expected_pullback, NETS, "floating"),
        ),
        mutants=(
            Mutant("sum for mean", fisher_as_an_expected_pullback, NETS[-1]),
            Mutant("the block of one datum", fisher_as_an_expected_pullback, NETS[-1]),
        ),
        objects=("metrics.FisherMetric", "metrics.ExpectedMetric", "metrics.PullbackMetric"),
    ),
    Statement(
        id="LG-E3.3",
        source="LG Example 3.3",
        title="the Gauss-Newton metric",
        text=(
            "The expected pullback of the Euclidean metric of a chosen output basis is E[J^T J]; its natural gradient "
            "does "
            "not depend on the bases of any space but the output's."
        ),
        latex=r"[\![g_{\mathrm{GN}}]\!]=\mathbb E[J^\top J]",
        hypotheses=("For the steps: the metric is nondegenerate.", "The output basis stays the same."),
        checks=(
            Check("X", "E[J^T J]", gauss_newton, NETS, "GF(p)"),
            Check("X", "steps in two parameterizations", gauss_newton_steps, RANKED, "GF(p)"),
            Check("N", "E[J^T J]", gauss_newton, NETS, "floating"),
            Check("N", "steps in two parameterizations", gauss_newton_steps, MANY, "floating", condition_power=4),
            Check("C", "another output basis", gauss_newton_steps, RANKED, "GF(p)", drops="another output basis"),
        ),
        mutants=(Mutant("square of the mean derivative", gauss_newton, NETS[-1]),),
        objects=("networks.MLP.gauss_newton_metric", "metrics.EuclideanMetric"),
    ),
    Statement(
        id="LG-E3.4",
        source="LG Example 3.4; erratum E9",
        title="generalized Gauss-Newton metrics, from Bregman divergences",
        text=(
            "The second derivative of a Bregman divergence at y = y' is the Hessian of its function; pulled back it "
            "is the "
            "second-order term of the divergence between outputs."
        ),
        latex=(
            r"B_F(y,y')=F(y)-F(y')-\langle\nabla F(y'),y-y'\rangle,\qquad[\![g_{\mathrm{GGN}}]\!]=\mathbb E[J^"
            r"\top H_FJ]"
        ),
        hypotheses=("F is convex and twice differentiable.",),
        checks=(
            Check("S", "arbitrary F", hessian_of_a_bregman_divergence, OUTPUTS, "symbols"),
            Check("N", "a network, F = sum of exponentials", bregman_divergence_of_a_network, MANY, "floating"),
        ),
        mutants=(
            Mutant("twice the Hessian", hessian_of_a_bregman_divergence, OUTPUTS[-1], "symbols"),
            Mutant("the Hessian's inverse", bregman_divergence_of_a_network, MANY[-1], "floating"),
        ),
        objects=("networks.MLP.gauss_newton_metric", "metrics.CovectorMetric"),
    ),
    Statement(
        id="LG-3.4-ev",
        source="LG 3.4, before Lemma 3.5",
        title="the pushforward of evaluation is multiplication by a",
        text=(
            "The tangent space of W is Hom(Hull(A), TZ); evaluation at a pushes v forward to v applied to the hull's "
            "vector of a."
        ),
        latex=r"(\mathrm{ev}_a)_*v=v(\bar a),\qquad TW=\operatorname{Hom}(\widehat A,TZ)",
        hypotheses=("None.",),
        checks=(
            Check("X", "values and pushforward", evaluation_is_multiplication_by_a, PAIRS, "GF(p)"),
            Check("S", "values and pushforward", evaluation_is_multiplication_by_a, PAIRS[1:2], "symbols"),
        ),
        mutants=(
            Mutant("a as a vector, with weight 0", evaluation_is_multiplication_by_a, PAIRS[-1]),
            Mutant("the linear part alone, of another point", evaluation_is_multiplication_by_a, PAIRS[-1]),
        ),
        objects=("maps.AffineMaps", "maps.Evaluation", "spaces.Hull", "spaces.Hom"),
    ),
    Statement(
        id="LG-L3.5",
        source="LG Lemma 3.5",
        title="the pullback of a metric along evaluation",
        text=(
            "The pullback of g along evaluation at a is the expectation of a (x) phi (x) a (x) phi, g being that of "
            "phi (x) phi."
        ),
        latex=r"\psi_a^*g=\mathbb E[a\otimes\varphi\otimes a\otimes\varphi]",
        hypotheses=("g is a sum, or an expectation, of squares of covectors.",),
        checks=(
            Check("X", "the matrix", pullback_along_evaluation, LAYER, "GF(p)"),
            Check("S", "the matrix", pullback_along_evaluation, LAYER[:1], "symbols"),
            Check("N", "the matrix", pullback_along_evaluation, LAYER, "floating"),
        ),
        mutants=(
            Mutant("covector first", pullback_along_evaluation, LAYER[-1]),
            Mutant("coefficients of the metric left out", pullback_along_evaluation, LAYER[-1]),
        ),
        objects=("maps.Evaluation", "metrics.PullbackMetric"),
    ),
)
