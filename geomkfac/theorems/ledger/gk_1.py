"""GK-1, GK-11, GK-12: K-FAC as plain gradient descent elsewhere, the gauge of its factors, arbitrary smooth maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.maps import AffineMaps
from geomkfac.metrics import Bernoulli, CovectorMetric, DenseTensor, IndependenceMetric, KroneckerTensor, MetricTensor
from geomkfac.networks import MLP
from geomkfac.operators import KroneckerProduct
from geomkfac.spaces import AffineSpace, Parameterization, Point, Sample, Vector
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import abstract_network, layers_of_data, random_weights
from geomkfac.theorems.instances.textbook.fully_connected import homogeneous, weighted_squares
from geomkfac.theorems.instances.updates import two_steps
from geomkfac.theorems.ledger.lg_2_1 import updates_with_any_smooth_maps
from geomkfac.theorems.ledger.lg_3_4 import independence_tensor, one_layer


# -- GK-1 ----------------------------------------------------------------------------------------------------
@final
@dataclass(frozen=True, slots=True)
class _Rooted:
    """A layer whose mean, covariance ``R R^T`` and metric ``S^T S`` are chosen, so that whitening is rational.

    Data are ``R x + mu`` with x = t_i e_i and -t_i e_i, of weight 1 / (2 t_i^2) each, and x = 0 with the rest.
    """

    W: AffineMaps
    iota: Parameterization
    R: Array
    mu: Array
    S: Array
    points: Point
    shares: Array
    metric: CovectorMetric
    w: Point
    dh: Vector


def _rooted(world: World) -> _Rooted:
    n, m = world.sizes.widths
    ns = world.ns
    t = world.array(n, name="t") if world.is_exact else world.positive(n) + float(n)
    R, mu, S = world.invertible(n, name="R"), world.array(n, name="\\mu"), world.invertible(m, name="S")
    x = ns.concat([ns.eye(n) * t, ns.eye(n) * -t, ns.zeros((1, n))])
    half = 1 / (t * t * 2)
    shares = ns.concat([half, half, ns.reshape(ns.ones(()) - ns.sum(half) * 2, (1,))])
    A, Z = AffineSpace("A", n, world.kind), AffineSpace("Z", m, world.kind)
    iota = Parameterization([A.frame("iota"), Z.frame("iota")], name="iota")
    W = AffineMaps(A, Z)
    count = 2 * n + 1
    rows, ones = ns.broadcast_to(S[:, None, :], (m, count, m)), ns.ones((m, count))
    metric = CovectorMetric(iota[Z], lambda z: (ones, rows))
    points: Point = A.from_coordinates(x @ R.mT + mu, iota)
    w: Point = W.from_coordinates(world.array(m, n + 1, name="W"), iota)
    dh: Vector = W.direction.dual.from_coordinates(world.array(m, n + 1, name="g"), iota)
    return _Rooted(W, iota, R, mu, S, points, shares, metric, w, dh)


def gradient_step_in_whitened_bases(world: World) -> Comparisons:
    """The K-FAC step is the gradient where activations have mean 0 and covariance 1 and the metric is 1."""
    it, ns = _rooted(world), world.ns
    back = ns.inverse(it.R)
    shift = -(back @ it.mu)
    if world.planted("not centred"):
        shift = shift * 0
    S = ns.eye(it.S.shape[0]) if world.planted("pre-activations not whitened") else it.S
    A, Z = it.W.domain, it.W.codomain
    frames = tuple(world.for_frames(each) for each in (back, shift, S))
    kappa = it.iota.change({A: (frames[0], frames[1]), Z: (frames[2], None)}, name="whitened")  # type: ignore[dict-item]
    g = IndependenceMetric(it.points, it.metric, it.shares).at(it.w)
    yield same("K-FAC step and gradient", g.sharp(it.dh).coordinates(kappa), it.dh.coordinates(kappa))


def whitened_activations_suffice(world: World) -> Comparisons:
    """With G = 1 (PRONG, FOOF) the step ``grad A^{-1}`` is the gradient where the activations alone are whitened."""
    it, ns = _rooted(world), world.ns
    m = it.W.codomain.dim
    eye, count = ns.eye(m), 2 * it.W.domain.dim + 1
    rows, ones = ns.broadcast_to(eye[:, None, :], (m, count, m)), ns.ones((m, count))
    metric = CovectorMetric(it.iota[it.W.codomain], lambda z: (ones, rows))
    back = ns.inverse(it.R)
    shift = -(back @ it.mu) * (0 if world.planted("not centred") else 1)
    changes = tuple(world.for_frames(each) for each in (back, shift))
    kappa = it.iota.change({it.W.domain: changes}, name="whitened")  # type: ignore[dict-item]
    g = IndependenceMetric(it.points, metric, it.shares).at(it.w)
    step = g.sharp(it.dh)
    grad = it.dh.coordinates(it.iota)
    A = weighted_squares(ns, it.shares, homogeneous(ns, it.points.coordinates(it.iota)))
    yield same("step is grad A^{-1}", step.coordinates(it.iota), grad @ ns.inverse(A))
    yield same("step and gradient", step.coordinates(kappa), it.dh.coordinates(kappa))


def network_in_its_whitened_parameterization(world: World) -> Comparisons:
    """A whole network: in the parameterization that the package whitens, a K-FAC update is a plain gradient step."""
    ns, widths, count = world.ns, world.sizes.widths, world.sizes.data
    net, iota = MLP.from_widths(widths, "tanh", kind=world.kind)
    weights = random_weights(world, net, iota)
    y = Bernoulli().predictions(ns, world.array(count, widths[-1]))
    data, loss = iota.sample(world.array(count, widths[0]), y), Bernoulli().on(iota)
    g, dh = net.kfac_metric(weights, data, loss), net.differential(weights, data, loss)
    kappa = iota.whitened(g)
    updated = net.to_arrays(weights - g.sharp(dh) * 0.1, kappa)
    gradients = dh.coordinates(iota if world.planted("gradient of the given bases") else kappa)
    for i, ((W, b), (V, c), grad) in enumerate(zip(updated, net.to_arrays(weights, kappa), gradients, strict=True), 1):
        stepped = [V - 0.1 * grad[:, :-1], c - 0.1 * grad[:, -1]]
        yield same(f"layer {i} after the update", [W, b], stepped)


# -- GK-11 ---------------------------------------------------------------------------------------------------
def _two_gauges(world: World) -> tuple[KroneckerTensor, KroneckerTensor, Parameterization]:
    it = one_layer(world)
    one = independence_tensor(it)
    c = world.positive(1)[0]
    return one, _regauged(one, c, 1 / c, it.iota), it.kappa


def _regauged(g: KroneckerTensor, c: Array, d: Array, frames: Parameterization) -> KroneckerTensor:
    """``(c A) (x) (d G)``."""
    forms = ((g.domain_form, c), (g.codomain_form, d))
    return KroneckerTensor(
        *(DenseTensor.from_coordinates(form.coordinates(frames) * x, frames[form.space]) for form, x in forms)
    )


def factors_up_to_a_number(world: World) -> Comparisons:
    """(c A, G / c) is the same metric; h(weight, weight) = 1 on the hull's covector picks one, in every frame."""
    it = one_layer(world)
    one, ns = independence_tensor(it), world.ns
    c = world.positive(1)[0]
    d = ns.ones(()) if world.planted("c on one factor") else 1 / c
    other = _regauged(one, c, d, it.iota)
    for name, frames in (("iota", it.iota), ("kappa", it.kappa)):
        yield same(f"the metric, in {name}", one.coordinates(frames).dense(), other.coordinates(frames).dense())
        A = one.coordinates(frames).factors[0]
        corner = A[0, 0] if world.planted("the first entry") else A[-1, -1]
        yield same(f"the canonical gauge, in {name}: A[n, n] = 1", corner, ns.ones(()))


def damped_in_two_gauges(world: World) -> Comparisons:
    """Exactly damped, both factorizations give one metric."""
    one, other, kappa = _two_gauges(world)
    gamma = world.positive(1)[0]
    if world.planted("each factor damped"):
        matrices = []
        for tensor in (one, other):
            A, G = tensor.coordinates(kappa).factors
            ns = world.ns
            matrices.append(KroneckerProduct(A + ns.eye(A.shape[0]) * gamma, G + ns.eye(G.shape[0]) * gamma).dense())
        yield same("each factor damped", matrices[0], matrices[1])
        return
    damped = [tensor.damped(kappa.euclidean, gamma, "exact").coordinates(kappa).dense() for tensor in (one, other)]
    yield same("exactly damped", damped[0], damped[1])


def factored_in_two_gauges(world: World) -> Comparisons:
    """Damped in the factors, balanced by their traces, both factorizations give one metric."""
    one, other, kappa = _two_gauges(world)
    pi = None if not world.planted("pi = 1") else 1.0
    if pi is None:
        damped = [tensor.damped(kappa.euclidean, 0.3, "factored").coordinates(kappa).dense() for tensor in (one, other)]
    else:
        identity = KroneckerProduct(*(world.ns.eye(f.shape[0]) for f in one.coordinates(kappa).factors))
        damped = [
            KroneckerProduct(*tensor.coordinates(kappa).factors).damped_by(identity, 0.3, "factored", pi=pi).dense()
            for tensor in (one, other)
        ]
    yield same("damped in the factors", damped[0], damped[1])


# -- GK-12 ---------------------------------------------------------------------------------------------------
def metric_with_any_smooth_maps(world: World) -> Comparisons:
    """D3.9 for activations with arbitrary full Jacobians: the network's blocks, and every layer's own moments."""
    it = abstract_network(world, coordinatewise=False)
    ns = world.ns
    blocks = it.net.kfac_metric(it.weights, it.data, it.loss).coordinates(it.kappa).blocks
    for i, (block, layer) in enumerate(zip(blocks, layers_of_data(world, it, it.loss.metric), strict=True), start=1):
        a_bar, Dz = layer.a_bar(world, it.kappa), layer.covectors.coordinates(it.kappa)
        A = (a_bar * layer.shares[:, None]).mT @ a_bar
        if world.planted("derivatives of the outputs at every layer") and i == 1:
            Dz = it.loss.fisher(it.net(it.weights, layer.points)).covectors.coordinates(it.kappa)
        G = weighted_squares(ns, layer.weights * layer.shares, Dz)
        yield same(f"block of layer {i}", block.dense(), ns.kron(A, G))


def natural_gradient_with_any_smooth_maps(world: World) -> Comparisons:
    """LG-T3.1 for such activations: the Fisher metric's step, made with weights and data in either frames."""
    it = abstract_network(world, coordinatewise=False)

    def metric(weights: Point, data: Sample, frames: Parameterization) -> MetricTensor:
        g: MetricTensor = it.net.fisher_metric(weights, data, it.loss)
        return g.damped(frames.euclidean, 1, "exact") if world.planted("natural gradient damped in the frame") else g

    yield same("step", *two_steps(it, metric), it.iota[it.net.weight_space.direction])


LAYER = (Sizes((1, 1)), Sizes((2, 2)), Sizes((3, 2)))
NETS = (Sizes((3, 4, 2), 40), Sizes((3, 4, 3, 2), 60))
GAUGE = (Sizes((1, 1), 3, 1), Sizes((2, 2), 4, 2))
SMOOTH = (Sizes((1, 1), 2, 1), Sizes((2, 2, 2), 3, 2), Sizes((3, 3, 3, 3), 6, 3))
RANKED = (Sizes((1, 1), 2, 1), Sizes((1, 2, 1), 8, 1), Sizes((2, 2, 2), 8, 2))

WHITENED = Statement(
    id="GK-1",
    source="ours; LG (2.10)",
    title="a K-FAC step is a plain gradient step in the whitening parameterization",
    text=(
        "Where every layer's activations have mean 0 and covariance 1, inputs included, and the derivatives by the "
        "pre-activations second moment 1, the K-FAC step is the gradient.  With G = 1 (PRONG, FOOF) whitening "
        "activations suffices."
    ),
    latex=r"[\![g_{\mathrm{KFAC}}]\!]_\kappa=I\quad\Longrightarrow\quad[\![g^{-1}dh]\!]_\kappa=\nabla_\kappa h",
    hypotheses=("Every A and G is nondegenerate.", "Centred, and not only scaled."),
    checks=(
        Check("X", "from chosen roots", gradient_step_in_whitened_bases, LAYER, "GF(p)"),
        Check("X", "G = 1: activations alone", whitened_activations_suffice, LAYER, "GF(p)"),
        Check("N", "from chosen roots", gradient_step_in_whitened_bases, LAYER, "floating", condition_power=4),
        Check("N", "a network", network_in_its_whitened_parameterization, NETS, "floating", condition_power=4),
        Check("C", "without centring", gradient_step_in_whitened_bases, LAYER, "GF(p)", drops="not centred"),
        Check("C", "G = 1, without centring", whitened_activations_suffice, LAYER, "GF(p)", drops="not centred"),
    ),
    mutants=(
        Mutant("pre-activations not whitened", gradient_step_in_whitened_bases, LAYER[-1]),
        Mutant("gradient of the given bases", network_in_its_whitened_parameterization, NETS[0], "floating"),
    ),
    objects=("spaces.Parameterization.whitened", "metrics.IndependenceMetric"),
)

GAUGED = Statement(
    id="GK-11",
    source="ours",
    title="the two factors are determined up to a number, and which damping minds",
    text=(
        "(c A, G / c) is the same metric.  The hull's weight covector gives a canonical gauge, A[n, n] = 1 in every "
        "frame.  Damping each factor by gamma I depends on the gauge; exact damping, and factored damping balanced by "
        "traces, do not."
    ),
    latex=r"(cA)\otimes(G/c)=A\otimes G,\qquad h(\text{weight},\text{weight})=1",
    hypotheses=("c is positive.",),
    checks=(
        Check("X", "one metric, and the canonical gauge", factors_up_to_a_number, GAUGE, "GF(p)"),
        Check("X", "exact damping", damped_in_two_gauges, GAUGE, "GF(p)"),
        Check("N", "one metric, and the canonical gauge", factors_up_to_a_number, GAUGE, "floating"),
        Check("N", "factored damping", factored_in_two_gauges, GAUGE, "floating", condition_power=4),
        Check("C", "each factor damped", damped_in_two_gauges, GAUGE, "GF(p)", drops="each factor damped"),
    ),
    mutants=(
        Mutant("c on one factor", factors_up_to_a_number, GAUGE[-1]),
        Mutant("the first entry", factors_up_to_a_number, GAUGE[-1]),
        Mutant("pi = 1", factored_in_two_gauges, GAUGE[-1], "floating"),
    ),
    objects=("metrics.KroneckerTensor", "metrics.MetricTensor.damped"),
)

SMOOTH_MAPS = Statement(
    id="GK-12",
    source="ours; LG 3, generalized",
    title="all of it holds for activations that are arbitrary smooth maps",
    text=(
        "Activations need not act coordinate by coordinate: with a random full Jacobian at every point the K-FAC "
        "update is invariant, the metric is its definition's, and so is natural gradient's invariance."
    ),
    latex=r"\rho_i:Z_i\to A_i\ \text{smooth},\qquad d\rho_i\ \text{arbitrary}",
    hypotheses=("The maps are differentiable.", "For the steps: the metrics are nondegenerate."),
    checks=(
        Check("X", "the K-FAC update (LG-T2.1)", updates_with_any_smooth_maps, SMOOTH, "GF(p)"),
        Check("X", "the K-FAC metric (LG-D3.9)", metric_with_any_smooth_maps, SMOOTH, "GF(p)"),
        Check("X", "natural gradient (LG-T3.1)", natural_gradient_with_any_smooth_maps, RANKED, "GF(p)"),
    ),
    mutants=(
        Mutant("damping by the frame's own metric", updates_with_any_smooth_maps, SMOOTH[-1]),
        Mutant("derivatives of the outputs at every layer", metric_with_any_smooth_maps, SMOOTH[-1]),
        Mutant("natural gradient damped in the frame", natural_gradient_with_any_smooth_maps, RANKED[-1]),
    ),
    objects=("maps.GenericMap", "networks.MLP"),
)

STATEMENTS = (WHITENED, GAUGED, SMOOTH_MAPS)
