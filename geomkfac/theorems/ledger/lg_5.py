"""LG 5: the K-FAC metric of recurrent networks, and the invariance of its update."""

from __future__ import annotations

from geomkfac.arrays.array import Array
from geomkfac.metrics import CovectorTensor
from geomkfac.spaces import Parameterization, Vector
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import random_direction
from geomkfac.theorems.instances.as_arrays import OfMap, unweighted
from geomkfac.theorems.instances.basis import transformed_weights
from geomkfac.theorems.instances.shared_networks import SharedInstance, recurrent, whole_metric
from geomkfac.theorems.instances.smooth_functions import Transformed, TransformedLoss, activation, loss
from geomkfac.theorems.instances.textbook.fully_connected import homogeneous, weighted_squares
from geomkfac.theorems.instances.textbook.over_places import at_places
from geomkfac.theorems.instances.textbook.over_steps import (
    MatrixRecurrence,
    RecurrencePass,
    backward,
    factors,
    forward,
    kfac_update,
    split,
)
from geomkfac.theorems.instances.updates import two_updates


# -- the package's network, as the paper would write it ---------------------------------------------------------
class _OfStates:
    """The output metric of the package's network, read out of the states by U and pulled back to them."""

    def __init__(self, world: World, it: SharedInstance, frames: Parameterization, steps: int) -> None:
        self.world, self.it, self.frames, self.steps = world, it, frames, steps
        self.U_bar = it.weights.coordinates(frames)[2]

    def outputs(self, states: Array) -> Array:
        """U a_t + d, (N, T, m)."""
        ns, (count, width) = self.world.ns, states.shape
        rows = homogeneous(ns, ns.reshape(states, (count * self.steps, width // self.steps)))
        return ns.reshape(rows @ self.U_bar.mT, (count, self.steps, -1))

    def differential(self, outputs: Array) -> Array:
        raise NotImplementedError

    def on_outputs(self, states: Array) -> tuple[Array, Array]:
        """Weights (K, N) and covectors (K, N, T, m)."""
        return whole_metric(self.world, self.it.loss, self.frames, self.outputs(states))

    def metric(self, outputs: Array) -> tuple[Array, Array]:
        ns = self.world.ns
        weights, covectors = self.on_outputs(outputs)
        pulled = covectors @ self.U_bar[:, :-1]
        return weights, ns.reshape(pulled, (*tuple(pulled.shape)[:2], -1))


def _in_arrays(
    world: World, it: SharedInstance, frames: Parameterization
) -> tuple[MatrixRecurrence, RecurrencePass, _OfStates]:
    """The same network in coordinates, and its run on the data."""
    W_bar, V_bar, _ = it.weights.coordinates(frames)
    (chunk,) = it.data.chunks()
    X = chunk.points.coordinates(frames)
    T, states = X.shape[1], it.net.layers[0].domain
    rho = it.net.activation  # type: ignore[attr-defined]
    reading = _OfStates(world, it, frames, T)
    start = states.from_coordinates(it.borders[0], it.iota).coordinates(frames)
    phi = tuple(OfMap(world, rho, frames, (chunk.count,)) for _ in range(T))
    network = MatrixRecurrence(W_bar, V_bar, start, phi, reading)
    return network, forward(world.ns, network, [X[:, t, :] for t in range(T)]), reading


# -- LG-5.3, LG-D5.3 ---------------------------------------------------------------------------------------------
def metric_by_its_formula(world: World) -> Comparisons:
    """The network's own metric, in random frames, and (5.3): recurrent, input and output weights."""
    it = unweighted(recurrent(world))
    ns = world.ns
    g = it.net.kfac_metric(it.weights.expressed_in(it.kappa), it.data.expressed_in(it.kappa), it.loss)
    network, run, reading = _in_arrays(world, it, it.kappa)
    A, X, G = factors(world, network, run)
    if world.planted("sum for mean over steps in A"):
        A = A * len(run.inputs)
    blocks = g.coordinates(it.kappa).blocks
    yield same("block of the recurrent weights", blocks[0].dense(), ns.kron(A, G))
    yield same("block of the input weights", blocks[1].dense(), ns.kron(X, G))
    weights, covectors = reading.on_outputs(run.outputs(ns))
    shares = at_places(ns, weights, len(run.inputs))
    on_outputs = weighted_squares(ns, shares, covectors) / run.inputs[0].shape[0]
    after = homogeneous(ns, ns.concat(run.states[1:], axis=0))
    yield same("block of the output weights", blocks[2].dense(), ns.kron(after.mT @ after / after.shape[0], on_outputs))


# -- LG-T5.2 -----------------------------------------------------------------------------------------------------
def updates_in_arrays(world: World) -> Comparisons:
    """N and N-dagger over a whole sequence, with tied weights, each updated by (5.4)."""
    ns, (n, h, _) = world.ns, world.sizes.widths
    T, count = world.sizes["times"], world.sizes.data
    shrink = 1 if world.is_exact else 0.5
    W_bar, V_bar, start = world.array(h, h + 1) * shrink, world.array(h, n + 1), world.array(h)
    phi = tuple(activation(world) for _ in range(T)) if world.is_exact else (activation(world),) * T
    network = MatrixRecurrence(W_bar, V_bar, start, phi, loss(world, T * h))
    Omega, gamma, Phi, tau = world.invertible(h), world.array(h), world.invertible(h), world.array(h)
    Omega_X, gamma_X = world.invertible(n), world.array(n)

    W_dagger = transformed_weights(ns, W_bar, Omega, gamma, Phi, tau)
    V_dagger = transformed_weights(ns, V_bar, Omega_X, gamma_X, Phi, ns.zeros((h,)))
    if world.planted("V left untransformed"):
        V_dagger = V_bar
    if world.planted("V without a bias"):
        V_dagger = ns.concat([V_dagger[:, :-1], ns.zeros((h, 1))], axis=1)
        V_bar = ns.concat([V_bar[:, :-1], ns.zeros((h, 1))], axis=1)
        network = MatrixRecurrence(W_bar, V_bar, start, phi, network.loss)
    whole, moved = ns.kron(ns.eye(T), Omega), ns.reshape(ns.broadcast_to(gamma, (T, h)), (-1,))
    double = MatrixRecurrence(
        W_dagger,
        V_dagger,
        start if world.planted("initial state left behind") else Omega @ start + gamma,
        tuple(Transformed(one, Phi, tau, Omega, gamma) for one in phi),
        TransformedLoss(network.loss, ns.inverse(whole), moved),
    )
    x, fresh = ([world.array(count, n) for _ in range(T)] for _ in range(2))
    rate = world.number() if world.is_exact else world.number() * 0.01

    def there(inputs: list[Array]) -> list[Array]:
        return [rows @ Omega_X.mT + gamma_X for rows in inputs]

    one, two = forward(ns, network, x), forward(ns, double, there(x))
    yield same("states before the update", one.outputs(ns) @ whole.mT + moved, two.outputs(ns))
    network, double = kfac_update(world, network, x, rate), kfac_update(world, double, there(x), rate)
    for when, inputs in (("on the data", x), ("on fresh inputs", fresh)):
        one, two = forward(ns, network, inputs), forward(ns, double, there(inputs))
        for t, (z, z_dagger) in enumerate(zip(one.preactivations, two.preactivations, strict=True), start=1):
            yield same(f"pre-activations at step {t} after it, {when}", z, z_dagger @ Phi.mT + tau)
        yield same(f"states after it, {when}", one.outputs(ns) @ whole.mT + moved, two.outputs(ns))


def updates_in_two_frames(world: World) -> Comparisons:
    """The package's network with an output at every step, its initial state a point that no update moves."""
    yield from two_updates(world, recurrent(world))


def updates_of_a_learned_start(world: World) -> Comparisons:
    """The same where the initial state is learned, and there is an output after the last step alone."""
    yield from two_updates(world, recurrent(world, at="last", learned=True, coordinatewise=False))


# -- LG-T5.4 -----------------------------------------------------------------------------------------------------
def a_sum_of_squares(world: World) -> Comparisons:
    """``g_KFAC(v, v)`` on the recurrent weights: T times a mean of squares over pairs of data and steps."""
    it = unweighted(recurrent(world))
    ns = world.ns
    g = it.net.kfac_metric(it.weights, it.data, it.loss)
    space = it.net.weight_space.direction
    network, run, _ = _in_arrays(world, it, it.iota)
    count, T = run.inputs[0].shape[0], len(run.inputs)
    v = world.array(*it.net.layers[0].slots)
    others = [ns.zeros(layer.slots) for layer in it.net.layers[1:]]
    vector = space.from_coordinates([v, *others], it.iota)
    u = random_direction(world, it.net, it.iota)
    weights, covectors = network.loss.metric(run.outputs(ns))
    images = homogeneous(ns, ns.concat(run.states[:-1], axis=0)) @ v.mT
    total = ns.scalar(0)
    for t, Dz in enumerate(backward(ns, network, run, split(covectors, T))):
        if t == 0 and world.planted("one time step dropped"):
            continue
        roots = Dz @ images.mT
        total = total + ns.sum(roots * roots * weights[:, :, None]) / (count * images.shape[0])
    yield same("g_KFAC(v, v)", g(vector, vector), total)
    yield same("symmetry", g(u, vector), g(vector, u))


def nondegenerate(world: World) -> Comparisons:
    """The expected pullback at one step nondegenerate implies g_KFAC nondegenerate on the recurrent weights."""
    it = unweighted(recurrent(world))
    ns = world.ns
    network, run, _ = _in_arrays(world, it, it.iota)
    weights, covectors = network.loss.metric(run.outputs(ns))
    Dz = backward(ns, network, run, split(covectors, len(run.inputs)))
    layer, t = it.net.layers[0], 1
    a = homogeneous(ns, run.states[t])
    family: Vector = layer.direction.dual.from_coordinates(
        ns.reshape(Dz[t][..., :, None] * a[:, None, :], (-1, *layer.slots)), it.iota
    )
    restricted = CovectorTensor(ns.reshape(weights, (-1,)), family)
    world.assume("the expected pullback at the second step is nondegenerate", not restricted.is_degenerate)
    data = it.data
    if world.planted("statistics of one datum"):
        (chunk,) = data.chunks()
        targets = None if chunk.targets is None else chunk.targets[:1, ...]
        data = it.iota.sample(chunk.points[:1].coordinates(it.iota), targets)
    yield same("g_KFAC is nondegenerate", it.net.kfac_metric(it.weights, data, it.loss).parts[0].nullity, 0)


def sizes(times: int, widths: tuple[int, ...], data: int, covectors: int = 1) -> Sizes:
    """Sizes of a recurrence: inputs, hidden, outputs."""
    return Sizes(widths, data, covectors, extra=(("times", times),))


FORMULA = (sizes(1, (1, 1, 1), 1), sizes(2, (1, 2, 1), 2), sizes(3, (2, 3, 2), 3, 2))
ONE_SYMBOL = (sizes(2, (1, 1, 1), 1),)
UPDATES = (sizes(2, (1, 1, 1), 3, 1), sizes(3, (2, 3, 2), 5, 3))
MANY = (sizes(2, (1, 1, 1), 10), sizes(3, (2, 2, 2), 30))
RANKED = (sizes(2, (1, 1, 1), 8, 1), sizes(2, (1, 2, 1), 12, 2))
IN_ARRAYS = "states and sums over steps on N and on N-dagger, in arrays"
IN_FRAMES = "one abstract network, run in two parameterizations"
LEARNED = "a learned initial state, an output after the last step, any smooth map"
DROPPED = (
    "initial state left behind",
    "V left untransformed",
    "V without a bias",
    "damping by gamma I",
    "gradient descent",
)
IMPLICATION = "nondegenerate where the expected pullback at one step is"

STATEMENTS = (
    Statement(
        id="LG-5.3/LG-D5.3",
        source="LG (5.3), (5.5), Definition 5.3",
        title="the K-FAC metric of a recurrent network",
        text=(
            "The block of the recurrent weights is T times the tensor product of two means over data and steps: of "
            "squares of the states before, and of the output metric pulled back to single steps; input and output "
            "weights likewise."
        ),
        latex=(
            r"\hat{\mathbf F}(\bar{\mathbf W})=T\,\mathbb E_{\mathbb T}\bigl[\bar{\mathbf a}_{t-1}"
            r"\bar{\mathbf a}_{t-1}^\top\bigr]\otimes\mathbb E_{\mathbb T}\bigl[\mathcal D\mathbf z_t"
            r"\mathcal D\mathbf z_t^\top\bigr]"
        ),
        hypotheses=("None: the metric may be degenerate.",),
        checks=(
            Check("X", "the network's metric and (5.3)", metric_by_its_formula, FORMULA, "GF(p)"),
            Check("S", "the network's metric and (5.3)", metric_by_its_formula, ONE_SYMBOL, "symbols"),
            Check("N", "the network's metric and (5.3)", metric_by_its_formula, FORMULA, "floating"),
        ),
        mutants=(
            Mutant("one time step dropped", metric_by_its_formula, FORMULA[-1]),
            Mutant("sum for mean over steps in A", metric_by_its_formula, FORMULA[-1]),
            Mutant("mean for sum over steps", metric_by_its_formula, FORMULA[-1]),
            Mutant("a_t for a_{t-1}", metric_by_its_formula, FORMULA[-1]),
        ),
        objects=("networks.RecurrentNetwork.kfac_metric", "metrics.IndependenceMetric"),
    ),
    Statement(
        id="LG-T5.2",
        source="LG Theorem 5.2, (5.1), (5.2), (5.4)",
        title="the K-FAC update of a recurrent network is invariant to affine changes of basis",
        text=(
            "Give a recurrent network other affine bases of its states, pre-activations and inputs, the same at every "
            "step: the K-FAC updates of both compute the same function of whole sequences."
        ),
        latex=(
            r"\mathbf W=\Phi\mathbf W^\dagger\Omega,\quad\mathbf V=\Phi\mathbf V^\dagger\Omega_X,\quad"
            r"\mathbf a_0^\dagger=\Omega\mathbf a_0+\gamma\;\Longrightarrow\;"
            r"\mathbf a_t^\dagger=\Omega\mathbf a_t+\gamma\text{ after the update too}"
        ),
        hypotheses=(
            "The initial state is a point and is carried along, or is learned.",
            "The input map is an affine map to the direction of Z, with a bias of its own, and is transformed too.",
            "Every A and G is invertible.",
        ),
        checks=(
            Check("X", IN_ARRAYS, updates_in_arrays, UPDATES, "GF(p)"),
            Check("X", IN_FRAMES, updates_in_two_frames, UPDATES, "GF(p)"),
            Check("X", LEARNED, updates_of_a_learned_start, UPDATES, "GF(p)"),
            Check("N", IN_ARRAYS, updates_in_arrays, MANY, "floating"),
            Check("N", IN_FRAMES, updates_in_two_frames, MANY, "floating"),
            *(Check("C", name, updates_in_arrays, UPDATES, "GF(p)", drops=name) for name in DROPPED),
        ),
        mutants=(
            Mutant("damping by the frame's own metric", updates_in_two_frames, UPDATES[-1]),
            Mutant("gradient in the frame", updates_in_two_frames, UPDATES[-1]),
        ),
        objects=("networks.RecurrentNetwork.kfac_metric", "metrics.MetricTensor.sharp", "spaces.Parameterization"),
    ),
    Statement(
        id="LG-T5.4",
        source="LG Theorem 5.4",
        title="the K-FAC metric of a recurrent network is a metric; when it is nondegenerate",
        text=(
            "It is symmetric and a sum of squares; and if the expected pullback of the output metric at a single step "
            "is nondegenerate, so is it."
        ),
        latex=(
            r"\mathbb E_\xi[\Psi_{\xi,t}^*g]\text{ nondegenerate}\;\Longrightarrow\;"
            r"g_{\mathrm{KFAC}}\text{ nondegenerate}"
        ),
        hypotheses=(
            "For the second half: scalars are ordered, and the pullback at one step is nondegenerate; at the first "
            "step it never is, as the initial state is the same for all data.",
        ),
        checks=(
            Check("X", "sum of squares", a_sum_of_squares, FORMULA, "GF(p)"),
            Check("N", "sum of squares", a_sum_of_squares, FORMULA, "floating"),
            Check("X", IMPLICATION, nondegenerate, RANKED, "Q", decides=False),
            Check("N", IMPLICATION, nondegenerate, RANKED, "floating"),
        ),
        mutants=(
            Mutant("one time step dropped", a_sum_of_squares, FORMULA[-1]),
            Mutant("statistics of one datum", nondegenerate, RANKED[-1], "Q"),
        ),
        objects=("networks.RecurrentNetwork.kfac_metric",),
    ),
)
