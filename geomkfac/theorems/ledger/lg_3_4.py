"""LG 3.4: the independence metric ``g_ind = E[a (x) a] (x) E[g(z)]`` of one layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays import GF
from geomkfac.arrays.array import Array
from geomkfac.maps import AffineMaps
from geomkfac.metrics import (
    CovectorMetric,
    CovectorTensor,
    ExpectedMetric,
    IndependenceMetric,
    KroneckerTensor,
    Metric,
    MetricTensor,
    PullbackMetric,
)
from geomkfac.metrics.independence import second_moment
from geomkfac.spaces import AffineSpace, Parameterization, Point, Vector
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, given, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.textbook.fully_connected import homogeneous, weighted_squares
from geomkfac.theorems.ledger.lg_3_arrays import (
    an_affine_function_that_vanishes_on_the_data,
    form_as_a_sum_of_squares,
    matrix_in_a_second_basis,
)


@final
@dataclass(frozen=True, slots=True)
class OneLayer:
    """Affine spaces A and Z, the space W of affine maps between them, data, and a metric on Z.

    Attributes
    ----------
    W : AffineMaps(A, Z)
    iota, kappa : two parameterizations of A and Z
    w : a point of W
    points : a_1, ..., a_N
    shares : array (N,), the weights of the data, of sum 1
    metric : on Z, given by covectors at each datum
    weights, covectors : arrays (K, N) and (K, N, m): these covectors, in kappa
    """

    W: AffineMaps
    iota: Parameterization
    kappa: Parameterization
    w: Point
    points: Point
    shares: Array
    metric: Metric
    weights: Array
    covectors: Array

    def a_bar(self, world: World) -> Array:
        """``[a; 1]`` of every datum in kappa, (N, n + 1)."""
        return homogeneous(world.ns, self.points.coordinates(self.kappa))

    def expected_pullback(self) -> MetricTensor:
        """``E[psi_a^* g]``, of the metric along evaluation at the data."""
        return ExpectedMetric(PullbackMetric(self.W.evaluation(self.points), self.metric), self.shares).at(self.w)


def one_layer(
    world: World, *, points: Array | None = None, covectors: Array | None = None, weights: Array | None = None
) -> OneLayer:
    """A random layer with a metric that is free at every datum; any of the three arrays may be chosen, in kappa.

    A metric on Z may be anything at finitely many points, so its covectors are drawn, one set per datum.
    """
    n, m = world.sizes.widths
    ns, count, K = world.ns, world.sizes.data, world.sizes.covectors
    A, Z = AffineSpace("A", n, world.kind), AffineSpace("Z", m, world.kind)
    W = AffineMaps(A, Z)
    iota = Parameterization([A.frame("iota"), Z.frame("iota")], name="iota")
    kappa = iota.random(world.rng, name="kappa")
    w = W.from_coordinates(world.array(m, n + 1), iota)
    points = world.array(count, n) if points is None else points
    covectors = world.array(K, count, m) if covectors is None else covectors
    weights = world.positive(K, count) if weights is None else weights
    given_weights, given_covectors = weights, covectors
    metric = CovectorMetric(kappa[Z], lambda z: (given_weights, given_covectors))
    positive = world.positive(count)
    shares = positive / ns.sum(positive)
    return OneLayer(
        W, iota, kappa, w, A.from_coordinates(points, kappa), shares, metric, weights, covectors
    )


def independence_tensor(it: OneLayer) -> KroneckerTensor:
    """``g_ind(w)`` from the package."""
    g_ind: KroneckerTensor = IndependenceMetric(it.points, it.metric, it.shares).at(it.w)  # type: ignore[assignment]
    return g_ind


def matrix_of_the_independence_metric(world: World) -> Comparisons:
    """In coordinates ``g_ind`` is ``E[a_bar a_bar^T] (x) E[G(z)]``, in one basis and in another."""
    it, ns = one_layer(world), world.ns
    g_ind = independence_tensor(it)
    a_bar, w = it.a_bar(world), it.shares
    if world.planted("homogeneous coordinate first"):
        a_bar = ns.concat([a_bar[:, -1:], a_bar[:, :-1]], axis=1)
    if world.planted("weights of the data left out"):
        w = ns.ones((world.sizes.data,)) / world.sizes.data
    A = (a_bar * w[:, None]).mT @ a_bar
    # G(z_n) = sum_k c_k phi_k phi_k^T.
    G_of_z = [weighted_squares(ns, it.weights[:, n], it.covectors[:, n, :]) for n in range(world.sizes.data)]
    G = sum((G_of_z[n] * w[n] for n in range(1, len(G_of_z))), G_of_z[0] * w[0])
    expected = ns.kron(A, G)
    if world.planted("expectation of the product"):
        blocks = [ns.kron(a_bar[n, :, None] * a_bar[n, None, :], G_of_z[n]) * w[n] for n in range(len(G_of_z))]
        expected = sum(blocks[1:], blocks[0])
    if world.planted("factors swapped"):
        expected = ns.kron(G, A)
    yield same("matrix of g_ind", g_ind.coordinates(it.kappa).dense(), expected)


def values_of_the_independence_metric(world: World) -> Comparisons:
    """``g_ind(u, v) = E_a E_z[g(z)(u(a), v(a))]``: a and z drawn independently, as (3.5) reads."""
    it = one_layer(world)
    m, n = it.W.slots
    u, v = (it.W.direction.from_coordinates(world.array(m, n), it.iota) for _ in range(2))
    w = it.shares
    # phi_k(z_j) (u(a_i)) for every k, j, i
    of_u, of_v = (_paired(world, it, vector) for vector in (u, v))
    total = world.ns.sum(of_u * of_v * (it.weights * w)[..., None] * w)
    if world.planted("a and z of one datum together"):
        total = world.ns.sum(world.ns.diagonal(of_u * of_v) * it.weights * w)
    yield same("g_ind(u, v)", independence_tensor(it)(u, v), total)


def _paired(world: World, it: OneLayer, vector: Vector) -> Array:
    """``phi_k(z_j)(v(a_i))``, shape (K, N, N)."""
    images = it.a_bar(world) @ vector.coordinates(it.kappa).mT
    return it.covectors @ images.mT


def a_sum_of_squares(world: World) -> Comparisons:
    """``g_ind(v, v) = sum w_i w_j c_k(z_j) (phi_k(z_j)(v(a_i)))^2``, and ``g_ind(u, v) = g_ind(v, u)``."""
    it = one_layer(world)
    m, n = it.W.slots
    u, v = (it.W.direction.from_coordinates(world.array(m, n), it.iota) for _ in range(2))
    g_ind, w = independence_tensor(it), it.shares
    root = _paired(world, it, v)
    coefficients = it.weights * w
    other = _paired(world, it, u) if world.planted("not a square: another vector in one slot") else root
    if world.planted("a covector of every datum dropped"):
        coefficients = world.ns.concat([coefficients[:-1, :], coefficients[:1, :] * 0], axis=0)
    yield same("g_ind(v, v)", g_ind(v, v), world.ns.sum(root * other * coefficients[..., None] * w))
    yield same("symmetry", g_ind(u, v), g_ind(v, u))


def degenerate_activations(world: World) -> Comparisons:
    """If an affine function l vanishes at every a_n, then l (x) mu is in the radical, for any mu."""
    n, m = world.sizes.widths
    ns, count = world.ns, world.sizes.data
    # l(a) = slope . a + constant; the last coordinate of each datum is solved for.
    slope, constant = world.array(n), world.number()
    free = world.array(count, n - 1)
    last = (-(free @ slope[:-1]) - constant) / slope[-1]
    if world.planted("one datum off the hyperplane"):
        last = last + world.array(count)
    it = one_layer(world, points=ns.concat([free, last[:, None]], axis=1))
    line = ns.concat([slope, ns.reshape(constant, (1,))], axis=0)
    mu = world.array(m)
    null = it.W.direction.from_coordinates(mu[:, None] * line[None, :], it.kappa)
    yield from _in_both_radicals(world, it, null)


def form_of_an_affine_function(world: World) -> Comparisons:
    """``A(l, l) = sum_n w_n l(a_n)^2``: with positive weights A l = 0 forces l(a_n) = 0 for every datum."""
    it, ns = one_layer(world), world.ns
    line = world.array(it.W.domain.dim + 1, name="l")
    values = it.a_bar(world) @ line
    if world.planted("the constant left out of the values"):
        values = it.points.coordinates(it.kappa) @ line[:-1]
    A = independence_tensor(it).domain_form.coordinates(it.kappa)
    yield same("A(l, l)", ns.sum(line * (A @ line)), ns.sum(it.shares * values * values))
    yield same("A l", A @ line, ns.sum(it.a_bar(world) * (it.shares * values)[:, None], axis=0))


def degenerate_outputs(world: World) -> Comparisons:
    """If G(z_n) mu = 0 at every datum, then l (x) mu is in the radical, for any affine function l."""
    n, m = world.sizes.widths
    ns, count, K = world.ns, world.sizes.data, world.sizes.covectors
    mu = world.array(m)
    free = world.array(K, count, m - 1)
    last = -ns.apply(mu[None, :-1], free, -1)[..., 0] / mu[-1]
    if world.planted("one covector that sees mu"):
        last = last + world.array(K, count)
    it = one_layer(world, covectors=ns.concat([free, last[..., None]], axis=-1))
    line = world.array(n + 1)
    null = it.W.direction.from_coordinates(mu[:, None] * line[None, :], it.kappa)
    yield from _in_both_radicals(world, it, null)


def _in_both_radicals(world: World, it: OneLayer, null: Vector) -> Comparisons:
    m, n = it.W.slots
    zero = world.ns.zeros((m, n))
    expected = ExpectedMetric(PullbackMetric(it.W.evaluation(it.points), it.metric), it.shares).at(it.w)
    yield same("E[psi_a^* g] at l (x) mu", expected.flat(null).coordinates(it.kappa), zero)
    yield same("g_ind at l (x) mu", independence_tensor(it).flat(null).coordinates(it.kappa), zero)


def the_implication(world: World) -> Comparisons:
    """E[psi_a^* g] nondegenerate implies g_ind nondegenerate; both by their ranks."""
    it = one_layer(world)
    expected = ExpectedMetric(PullbackMetric(it.W.evaluation(it.points), it.metric), it.shares).at(it.w)
    g_ind = independence_tensor(it)
    if world.planted("the activations' form without its directions"):
        constant = it.W.domain.from_coordinates(it.points.coordinates(it.kappa) * 0, it.kappa)
        g_ind = KroneckerTensor(second_moment(constant, it.shares), g_ind.codomain_form)
    if world.planted("E[g(z)] from one covector of one datum"):
        covectors = it.W.codomain.direction.dual.from_coordinates(it.covectors[:1, 0, :], it.kappa)
        g_ind = KroneckerTensor(g_ind.domain_form, CovectorTensor(it.weights[:1, 0], covectors))
    world.assume("E[psi_a^* g] is nondegenerate", not expected.is_degenerate)
    yield same("g_ind is nondegenerate", g_ind.nullity, 0)


def the_implication_over_five_elements(world: World) -> Comparisons:
    """Over GF(5), with a = 1, 2 and G = 1, 2: E[a G a] = 9/2 is not zero, and E[a^2] E[G] = 5/2 . 3/2 is."""
    ns = GF(5).default_namespace
    a, G = ns.asarray([1, 2]), ns.asarray([1, 2])
    expected, g_ind = ns.sum(a * a * G) / 2, (ns.sum(a * a) / 2) * (ns.sum(G) / 2)
    yield given("rank of E[psi_a^* g] over GF(5)", ns.rank(ns.reshape(expected, (1, 1))), 1)
    yield same("rank of g_ind over GF(5)", ns.rank(ns.reshape(g_ind, (1, 1))), 1)


def the_converse(world: World) -> Comparisons:
    """With a = 1, -1 and G = diag(1, 0), diag(0, 1): g_ind has rank 4, the expected pullback has rank 2."""
    ns = world.ns
    points, covectors = ns.asarray([[1], [-1]]), ns.asarray([[[1, 0], [0, 1]]])
    it = one_layer(world, points=points, covectors=covectors, weights=ns.asarray([[1, 1]]))
    expected = ExpectedMetric(PullbackMetric(it.W.evaluation(it.points), it.metric), it.shares).at(it.w)
    yield given("g_ind is nondegenerate: rank", independence_tensor(it).rank, 4)
    yield given("rank of E[psi_a^* g]", expected.rank, 2)
    yield same("E[psi_a^* g] is nondegenerate", expected.nullity, 0)


LAYERS = (Sizes((1, 1), 3, 1), Sizes((2, 2), 4, 2), Sizes((3, 2), 6, 2))
RANKED = (Sizes((1, 1), 4, 1), Sizes((2, 2), 6, 2))
IN_ANOTHER = "made in one basis, read in another"
IMPLICATION = "E[psi_a^* g] nondegenerate implies g_ind nondegenerate"

STATEMENTS = (
    Statement(
        id="LG-T3.6a",
        source="LG Theorem 3.6, first assertion",
        title="the independence metric is a metric",
        text="g_ind is a symmetric form, and a sum of squares with nonnegative coefficients: positive semidefinite.",
        latex=r"g_{\mathrm{ind}}(w)(v,v)=\mathbb E_{a,z}\sum_k c_k(z)\,\bigl(\phi_k(z)(v(a))\bigr)^2\ge 0",
        hypotheses=("g is a metric on Z: at every z a sum of squares of covectors, with c_k >= 0.",),
        checks=(
            Check("X", "sum of squares", a_sum_of_squares, LAYERS, "GF(p)"),
            Check("X", IN_ANOTHER, form_as_a_sum_of_squares, LAYERS, "GF(p)", recipe="LG-T3.6a"),
            Check("N", "sum of squares", a_sum_of_squares, LAYERS, "floating"),
        ),
        mutants=(
            Mutant("not a square: another vector in one slot", a_sum_of_squares, LAYERS[-1]),
            Mutant("a covector of every datum dropped", a_sum_of_squares, LAYERS[-1]),
            Mutant("a and z of one datum together", form_as_a_sum_of_squares, LAYERS[-1]),
        ),
        objects=("metrics.IndependenceMetric", "metrics.KroneckerTensor"),
    ),
    Statement(
        id="LG-T3.6b",
        source="LG Theorem 3.6, second assertion; erratum E34",
        title="the independence metric is nondegenerate where the expected pullback is",
        text=(
            "If the expected pullback E[psi_a^* g] is nondegenerate on W, so is g_ind: were A or G degenerate, "
            "some l (x) mu would be in the radical of the expected pullback."
        ),
        latex=(
            r"\lambda(a)=0\ \forall a\ \text{ or }\ g(z)\mu=0\ \forall z\;\Longrightarrow\;"
            r"\lambda\otimes\mu\in\operatorname{rad}\mathbb E_a[\psi_a^*g]"
        ),
        hypotheses=(
            "The scalars are ordered: the implication is false over GF(5).",
            "Weights of the data and coefficients of the metric are positive.",
        ),
        checks=(
            Check("X", "an affine function that vanishes on the data", degenerate_activations, LAYERS[1:], "GF(p)"),
            Check(
                "X",
                "the same, drawn in the open",
                an_affine_function_that_vanishes_on_the_data,
                LAYERS[1:],
                "GF(p)",
                recipe="LG-T3.6b",
            ),
            Check("X", "a direction that the metric does not see", degenerate_outputs, LAYERS[1:], "GF(p)"),
            Check("S", "l^T A l as a sum of squares", form_of_an_affine_function, RANKED[:1], "symbols"),
            Check("X", IMPLICATION, the_implication, RANKED, "Q"),
            Check("N", IMPLICATION, the_implication, RANKED, "floating"),
            Check("C", "the implication over GF(5)", the_implication_over_five_elements, RANKED[:1], "Q"),
            Check("C", "the converse", the_converse, (Sizes((1, 2), 2, 1),), "Q"),
        ),
        mutants=(
            Mutant("one datum off the hyperplane", degenerate_activations, LAYERS[-1]),
            Mutant("one covector that sees mu", degenerate_outputs, LAYERS[-1]),
            Mutant("the constant left out of the values", form_of_an_affine_function, RANKED[0], "symbols"),
            Mutant("the constant of l left out", an_affine_function_that_vanishes_on_the_data, LAYERS[-1]),
            Mutant("the activations' form without its directions", the_implication, RANKED[-1], "Q"),
            Mutant("E[g(z)] from one covector of one datum", the_implication, RANKED[-1], "Q"),
        ),
        objects=("metrics.IndependenceMetric", "metrics.MetricTensor.radical"),
    ),
    Statement(
        id="LG-P3.7",
        source="LG Proposition 3.7, (3.5)",
        title="the independence metric in coordinates",
        text="In coordinates g_ind is the Kronecker product of E[a_bar a_bar^T] and E[G(z)], columns stacked.",
        latex=(
            r"[\![g_{\mathrm{ind}}(w)]\!]=\mathbb E[\bar{\mathbf a}\bar{\mathbf a}^\top]"
            r"\otimes\mathbb E[\mathbf G(\mathbf z)]"
        ),
        hypotheses=("None: g may be degenerate.",),
        checks=(
            Check("X", "the matrix", matrix_of_the_independence_metric, LAYERS, "GF(p)"),
            Check("X", IN_ANOTHER, matrix_in_a_second_basis, LAYERS, "GF(p)", recipe="LG-P3.7"),
            Check("X", "the form on two vectors", values_of_the_independence_metric, LAYERS, "GF(p)"),
            Check("S", "the matrix", matrix_of_the_independence_metric, LAYERS[:1], "symbols"),
            Check("N", "the matrix", matrix_of_the_independence_metric, LAYERS, "floating"),
            Check("N", "the form on two vectors", values_of_the_independence_metric, LAYERS, "floating"),
        ),
        mutants=(
            Mutant("expectation of the product", matrix_of_the_independence_metric, LAYERS[-1]),
            Mutant("factors swapped", matrix_of_the_independence_metric, LAYERS[-1]),
            Mutant("homogeneous coordinate first", matrix_of_the_independence_metric, LAYERS[-1]),
            Mutant("weights of the data left out", matrix_of_the_independence_metric, LAYERS[-1]),
            Mutant("a and z of one datum together", values_of_the_independence_metric, LAYERS[-1]),
            Mutant("covectors moved as vectors are", matrix_in_a_second_basis, LAYERS[-1]),
            Mutant("activations not translated", matrix_in_a_second_basis, LAYERS[-1]),
        ),
        objects=("metrics.IndependenceMetric", "operators.KroneckerProduct"),
    ),
)
