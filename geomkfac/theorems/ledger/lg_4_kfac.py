"""LG 4.2, 4.3: the K-FAC metric of convolutional networks, and the invariance of its update."""

from __future__ import annotations

from geomkfac.arrays.array import Array
from geomkfac.metrics import CovectorTensor
from geomkfac.spaces import Vector
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, same
from geomkfac.theorems.engine.world import World
from geomkfac.theorems.instances.abstract_networks import random_direction
from geomkfac.theorems.instances.as_arrays import pass_in_arrays, unweighted
from geomkfac.theorems.instances.basis import random_bases, transformed_weights
from geomkfac.theorems.instances.shared_networks import convolutional
from geomkfac.theorems.instances.smooth_functions import Transformed, TransformedLoss, activation, loss
from geomkfac.theorems.instances.textbook.fully_connected import homogeneous
from geomkfac.theorems.instances.textbook.over_places import (
    MapNetwork,
    Patches,
    at_places,
    backward,
    factors,
    forward,
    kfac_update,
)
from geomkfac.theorems.instances.updates import two_updates
from geomkfac.theorems.ledger.lg_4 import expanded_change, grid


# -- LG-4.5, LG-D4.3 ---------------------------------------------------------------------------------------------
def metric_by_its_formula(world: World) -> Comparisons:
    """The network's own metric, in random frames, and (4.5) with expanded activations and sums over locations."""
    it = unweighted(convolutional(world))
    ns, patches = world.ns, it.patches
    g = it.net.kfac_metric(it.weights.expressed_in(it.kappa), it.data.expressed_in(it.kappa), it.loss)
    network, batch = pass_in_arrays(world, it, it.kappa)
    A, G = factors(world, network, batch)
    for index, (block, own, b) in enumerate(zip(g.coordinates(it.kappa).blocks, A, G, strict=True), start=1):
        a = own
        if world.planted("patches channel by channel"):
            a = _channel_major(world, own, len(patches.offsets))
        if world.planted("the transpose of the kernel's offsets"):
            a = _offsets_reversed(world, own, len(patches.offsets))
        if world.planted("sum for mean over locations in A"):
            a = own * patches.count
        yield same(f"block of layer {index}", block.dense(), ns.kron(a, b))


def _reordered(world: World, a: Array, order: list[int]) -> Array:
    return world.ns.take(world.ns.take(a, order, 0), order, 1)


def _channel_major(world: World, a: Array, K: int) -> Array:
    J = (a.shape[0] - 1) // K
    return _reordered(world, a, [k * J + j for j in range(J) for k in range(K)] + [K * J])


def _offsets_reversed(world: World, a: Array, K: int) -> Array:
    J = (a.shape[0] - 1) // K
    return _reordered(world, a, [k * J + j for k in reversed(range(K)) for j in range(J)] + [K * J])


# -- LG-T4.2 -------------------------------------------------------------------------------------------------------
def updates_in_arrays(world: World) -> Comparisons:
    """N and N-dagger, each updated by (4.6); borders are points and are carried along.  Everything is arbitrary."""
    ns, widths, count = world.ns, world.sizes.widths, world.sizes.data
    patches = Patches((world.sizes["height"], world.sizes["width"]), ((0, -1), (0, 0), (1, 0)))
    K, T = len(patches.offsets), patches.count
    layers = list(zip(widths[1:], widths[:-1], strict=True))
    shrink = 1 if world.is_exact else 0.5
    network = MapNetwork(
        tuple(world.array(m, K * J + 1) * shrink for m, J in layers),
        tuple(activation(world) for _ in layers),
        tuple(world.array(J) for J in widths[:-1]),
        loss(world, T * widths[-1]),
        patches,
    )
    bases = random_bases(world, widths)
    dagger = []
    for index, W_bar in enumerate(network.weights):
        big, shift = expanded_change(world, bases.Omega[index], bases.gamma[index], K)
        dagger.append(transformed_weights(ns, W_bar, big, shift, bases.Phi[index], bases.tau[index]))
    whole, moved = (
        ns.kron(ns.eye(T), bases.Omega[-1]),
        ns.reshape(ns.broadcast_to(bases.gamma[-1], (T, widths[-1])), (-1,)),
    )
    borders = [p @ Omega.mT + gamma for p, Omega, gamma in zip(network.borders, bases.Omega, bases.gamma, strict=False)]
    if world.planted("zero padding with a translation"):
        borders = [ns.zeros(p.shape) for p in borders]
    double = MapNetwork(
        tuple(dagger),
        tuple(
            Transformed(phi, bases.Phi[i], bases.tau[i], bases.Omega[i + 1], bases.gamma[i + 1])
            for i, phi in enumerate(network.activations)
        ),
        tuple(borders),
        TransformedLoss(network.loss, ns.inverse(whole), moved),
        patches,
    )

    def there(x: Array) -> Array:
        """The inputs of N-dagger."""
        if world.planted("an affine map that mixes locations"):
            x = ns.matmul(world.invertible(T), x)
        return x @ bases.Omega[0].mT + bases.gamma[0]

    x, fresh, rate = world.array(count, T, widths[0]), world.array(count, T, widths[0]), world.number()
    if not world.is_exact:
        rate = rate * 0.01
    one, two = forward(ns, network, x).outputs, forward(ns, double, there(x)).outputs
    yield same("outputs before the update", one @ whole.mT + moved, two)
    network, double = kfac_update(world, network, x, rate), kfac_update(world, double, there(x), rate)
    for when, inputs in (("on the data", x), ("on fresh inputs", fresh)):
        one, two = forward(ns, network, inputs), forward(ns, double, there(inputs))
        for i, (z, z_dagger) in enumerate(zip(one.preactivations, two.preactivations, strict=True)):
            yield same(
                f"pre-activations of layer {i + 1} after it, {when}", z, z_dagger @ bases.Phi[i].mT + bases.tau[i]
            )
        yield same(f"outputs after it, {when}", one.outputs @ whole.mT + moved, two.outputs)


def updates_in_two_frames(world: World) -> Comparisons:
    """Convolutions and a dense layer, with the package's own metric; activations are generic."""
    yield from two_updates(world, convolutional(world, dense=True))


def updates_with_any_smooth_maps(world: World) -> Comparisons:
    """The same where the activation at a place is any smooth map, a random full Jacobian (GK-12)."""
    yield from two_updates(world, convolutional(world, coordinatewise=False))


# -- LG-T4.4 ---------------------------------------------------------------------------------------------------------
def a_sum_of_squares(world: World) -> Comparisons:
    """``g_KFAC(v, v)`` is |T| times a mean of squares over layers, pairs of data, pairs of locations and covectors."""
    it = unweighted(convolutional(world))
    ns, patches = world.ns, it.patches
    g = it.net.kfac_metric(it.weights, it.data, it.loss)
    u, v = (random_direction(world, it.net, it.iota) for _ in "uv")
    network, batch = pass_in_arrays(world, it, it.iota)
    weights, covectors = network.loss.metric(batch.outputs)
    total = ns.scalar(0)
    parts = zip(batch.expanded, backward(ns, network, batch, covectors), v.coordinates(it.iota), strict=True)
    for rows, Dz, v_l in parts:
        images = homogeneous(ns, rows) @ v_l.mT
        roots = Dz @ images.mT
        squares = roots * roots
        if world.planted("a and z of one location together"):
            squares = squares * ns.eye(squares.shape[-1]) * squares.shape[-1]
        # The first axis of pairs belongs to Dz, and carries the weight of its covector and datum.
        shares = ns.reshape(at_places(ns, weights, patches.count), (weights.shape[0], -1))
        total = total + ns.sum(squares * shares[:, :, None]) / (images.shape[0] * batch.count)
        if world.planted("only the first layer"):
            break
    yield same("g_KFAC(v, v)", g(v, v), total)
    yield same("symmetry", g(u, v), g(v, u))


INSIDE = 1
"""A location whose patch lies inside the map; at the others it holds the border's fixed coordinates."""


def nondegenerate(world: World) -> Comparisons:
    """The expected pullback at one location nondegenerate, for every layer, implies g_KFAC nondegenerate; by ranks."""
    it = unweighted(convolutional(world))
    ns, patches, data = world.ns, it.patches, it.data
    network, batch = pass_in_arrays(world, it, it.iota)
    weights, covectors = network.loss.metric(batch.outputs)
    for index, (rows, Dz) in enumerate(zip(batch.expanded, backward(ns, network, batch, covectors), strict=True)):
        layer = it.net.layers[index]
        a = ns.reshape(homogeneous(ns, rows), (batch.count, patches.count, -1))[:, INSIDE, :]
        D = ns.reshape(Dz, (Dz.shape[0], batch.count, patches.count, -1))[:, :, INSIDE, :]
        family: Vector = layer.direction.dual.from_coordinates(
            ns.reshape(D[..., :, None] * a[..., None, :], (-1, *layer.slots)), it.iota
        )
        restricted = CovectorTensor(ns.reshape(weights, (-1,)), family)
        hypothesis = f"the expected pullback of layer {index + 1} at one location is nondegenerate"
        world.assume(hypothesis, not restricted.is_degenerate)
    if world.planted("statistics of one location"):
        (chunk,) = data.chunks()
        a = ns.broadcast_to(world.array(1, 1, 1, world.sizes.widths[0]), chunk.points.coordinates(it.iota).shape)
        data = it.iota.sample(a, chunk.targets)
    yield same("g_KFAC is nondegenerate", it.net.kfac_metric(it.weights, data, it.loss).nullity, 0)


FORMULA = (grid(1, 1, (1, 1), 1), grid(2, 1, (1, 1, 1), 2), grid(2, 3, (2, 2, 3), 2, 2))
ONE_SYMBOL = (grid(1, 2, (1, 1), 1),)
UPDATES = (grid(2, 2, (1, 1, 1), 2, 1), grid(2, 3, (2, 3, 2), 3, 2))
MANY = (grid(2, 2, (1, 1), 12), grid(2, 3, (2, 3, 2), 30))
DENSE = (grid(2, 2, (1, 1, 1), 6, 1), grid(2, 2, (2, 2, 2), 10, 2), grid(2, 3, (2, 3, 2), 22, 2))
DENSE_MANY = (grid(2, 2, (1, 1, 1), 20), grid(2, 2, (2, 2, 2), 40))
RANKED = (grid(2, 2, (1, 1), 8, 1), grid(2, 2, (1, 1, 1), 10, 1))
IN_ARRAYS = "expanded activations on N and on N-dagger, in arrays"
IN_FRAMES = "one abstract network, run in two parameterizations"
DROPPED = (
    "zero padding with a translation",
    "an affine map that mixes locations",
    "damping by gamma I",
    "gradient descent",
)
IMPLICATION = "nondegenerate where the expected pullback at one location is"

STATEMENTS = (
    Statement(
        id="LG-4.5/LG-D4.3",
        source="LG (4.5), (4.7), Definition 4.3, (3.8)",
        title="the K-FAC metric of a convolutional network",
        text=(
            "The block of a convolution layer is |T| times the tensor product of two means over data and locations: of "
            "the expanded activations' squares, and of the pulled-back output metric at single locations."
        ),
        latex=(
            r"\hat{\mathbf F}_{l,l}=|\mathcal T|\,\mathbb E_{\mathcal T}\bigl[\bar{\mathbf a}^{(:,t)}"
            r"\bar{\mathbf a}^{(:,t)\top}\bigr]\otimes\mathbb E_{\mathcal T}\bigl[\mathcal D\mathbf z^{(t)}"
            r"\mathcal D\mathbf z^{(t)\top}\bigr]"
        ),
        hypotheses=("None: the metric may be degenerate.",),
        checks=(
            Check("X", "the network's metric and (4.5)", metric_by_its_formula, FORMULA, "GF(p)"),
            Check("S", "the network's metric and (4.5)", metric_by_its_formula, ONE_SYMBOL, "symbols"),
            Check("N", "the network's metric and (4.5)", metric_by_its_formula, FORMULA, "floating"),
        ),
        mutants=(
            Mutant("patches channel by channel", metric_by_its_formula, FORMULA[-1]),
            Mutant("the transpose of the kernel's offsets", metric_by_its_formula, FORMULA[-1]),
            Mutant("sum for mean over locations in A", metric_by_its_formula, FORMULA[-1]),
            Mutant("mean for sum over locations", metric_by_its_formula, FORMULA[-1]),
            Mutant("one location dropped", metric_by_its_formula, FORMULA[-1]),
        ),
        objects=("networks.ConvolutionalNetwork.kfac_metric", "metrics.AdditiveMetric", "metrics.IndependenceMetric"),
    ),
    Statement(
        id="LG-T4.2",
        source="LG Theorem 4.2 (GM Theorem 3), (4.4), (4.6)",
        title="the K-FAC update of a convolutional network is invariant to affine changes of basis",
        text=(
            "Give a convolutional network other affine bases of its local activations and pre-activations, the same at "
            "every location: the K-FAC updates of both compute the same function."
        ),
        latex=(
            r"f^\ddagger\bigl(\mathbf x^\ddagger,\mathbf w^\ddagger-\epsilon\hat{\mathbf F}^{\ddagger-1}"
            r"\nabla h^\ddagger\bigr)\;\widehat{=}\;"
            r"f\bigl(\mathbf x,\mathbf w-\epsilon\hat{\mathbf F}^{-1}\nabla h\bigr)"
        ),
        hypotheses=(
            "The border is a point of the activation space and is carried along; with zeros, a translation leaves the "
            "two networks different (erratum E3).",
            "The change of basis acts at every location alike; one that mixes locations leads out of convolutions.",
            "Every A and G is invertible.",
        ),
        checks=(
            Check("X", IN_ARRAYS, updates_in_arrays, UPDATES, "GF(p)"),
            Check("X", IN_FRAMES, updates_in_two_frames, DENSE, "GF(p)"),
            Check("X", "activations that are any smooth maps", updates_with_any_smooth_maps, UPDATES, "GF(p)"),
            Check("N", IN_ARRAYS, updates_in_arrays, MANY, "floating"),
            Check("N", IN_FRAMES, updates_in_two_frames, DENSE_MANY, "floating"),
            *(Check("C", name, updates_in_arrays, UPDATES, "GF(p)", drops=name) for name in DROPPED),
        ),
        mutants=(
            Mutant("translation of the first offset alone", updates_in_arrays, UPDATES[-1]),
            Mutant("Omega (x) I for I (x) Omega", updates_in_arrays, UPDATES[-1]),
            Mutant("damping by the frame's own metric", updates_in_two_frames, DENSE[-1]),
            Mutant("gradient in the frame", updates_in_two_frames, DENSE[-1]),
        ),
        objects=("networks.ConvolutionalNetwork.kfac_metric", "metrics.MetricTensor.sharp", "spaces.Parameterization"),
    ),
    Statement(
        id="LG-T4.4",
        source="LG Theorem 4.4",
        title="the K-FAC metric of a convolutional network is a metric; when it is nondegenerate",
        text=(
            "It is symmetric and a sum of squares; and if for every layer the expected pullback of the output metric "
            "at a single location is nondegenerate, so is it."
        ),
        latex=(
            r"\mathbb E_\xi[(\Psi^l_{\xi,t})^*g]\text{ nondegenerate for every }l"
            r"\;\Longrightarrow\;g_{\mathrm{KFAC}}\text{ nondegenerate}"
        ),
        hypotheses=(
            "For the second half: scalars are ordered, and the pullback at one location is nondegenerate; where a "
            "patch reaches over the border it never is, as its coordinates there are the same for all data.",
        ),
        checks=(
            Check("X", "sum of squares", a_sum_of_squares, FORMULA, "GF(p)"),
            Check("N", "sum of squares", a_sum_of_squares, FORMULA, "floating"),
            Check("X", IMPLICATION, nondegenerate, RANKED, "Q", decides=False),
            Check("N", IMPLICATION, nondegenerate, RANKED, "floating"),
        ),
        mutants=(
            Mutant("a and z of one location together", a_sum_of_squares, FORMULA[-1]),
            Mutant("only the first layer", a_sum_of_squares, FORMULA[-1]),
            Mutant("statistics of one location", nondegenerate, RANKED[-1], "Q"),
        ),
        objects=("networks.ConvolutionalNetwork.kfac_metric", "metrics.DirectSumTensor"),
    ),
)
