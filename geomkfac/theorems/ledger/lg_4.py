"""LG 4.1: convolution layers, in coordinates and without."""

from __future__ import annotations

from typing import Any

from geomkfac.arrays.array import Array
from geomkfac.arrays.oracles import cross_correlation
from geomkfac.networks import Convolution, ConvolutionalNetwork
from geomkfac.spaces import Chunk, Hull, Parameterization, Point, Space
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.as_arrays import NoActivation
from geomkfac.theorems.instances.basis import transformed_weights
from geomkfac.theorems.instances.shared_networks import SharedInstance, convolutional
from geomkfac.theorems.instances.smooth_functions import loss
from geomkfac.theorems.instances.textbook.over_places import MapNetwork
from geomkfac.theorems.instances.textbook.over_places import forward as forward_in_arrays


# -- LG-4.2/4.3 ----------------------------------------------------------------------------------------------
def one_map_of_every_patch(world: World) -> Comparisons:
    """(4.1) by counting places, (4.3) with a homogeneous coordinate; and GM (13): derivatives sum over locations."""
    it = convolutional(world)
    ns, patches = world.ns, it.patches
    W_bar = it.weights.coordinates(it.iota)[0]
    W, b = ns.reshape(W_bar[:, :-1], (W_bar.shape[0], len(patches.offsets), -1)), W_bar[:, -1]
    (chunk,) = it.data.chunks()
    count, J = chunk.count, world.sizes.widths[0]
    a = ns.reshape(chunk.points.coordinates(it.iota), (count, patches.count, J))
    z = ns.reshape(it.net(it.weights, chunk.points).coordinates(it.iota), (count, patches.count, -1))
    Ds = it.loss.differential(*_flat_outputs(world, it, chunk, z))
    rows = ns.reshape(Ds.coordinates(it.iota), z.shape) * (chunk.weights / ns.sum(chunk.weights))[:, None, None]
    dh = it.net.differential(it.weights, it.data, it.loss).coordinates(it.iota)[0]

    sources, K = patches.sources(), len(patches.offsets)
    DW: list[Array] = [ns.zeros((W.shape[0], J))] * K
    for t in range(patches.count):
        total = b
        for k in range(K):
            flipped = K - 1 - k if world.planted("the kernel flipped") else k
            source = sources[t * K + k]
            value = it.borders[0] if source == patches.count else a[:, source, :]
            if source == patches.count and world.planted("the border left out"):
                continue
            total = total + value @ W[:, flipped, :].mT
            DW[k] = DW[k] + rows[:, t, :].mT @ ns.broadcast_to(value, (count, J))
        yield same(f"z at location {t}", z[:, t, :], ns.broadcast_to(total, (count, W.shape[0])))
    if world.planted("one location dropped"):
        DW = [D - rows[:, 0, :].mT @ a[:, 0, :] for D in DW]
    expected = ns.concat([*DW, ns.sum(ns.sum(rows, axis=0), axis=0)[:, None]], axis=1)
    yield same("derivatives of weights and bias", dh, expected)
    omega = it.net.weight_space.split(it.weights)[0]
    patch = it.net.layers[0].domain
    point = patch.from_coordinates(world.array(*patch.slots), it.iota)
    lifted = it.net.layers[0].lift(omega)(Hull(patch).of_point(point))
    yield same("[z]_H = [W]_H [a]_H", lifted, Hull(it.net.outputs).of_point(omega(point)), it.iota)


def against_scipy(world: World) -> Comparisons:
    """The package's convolution without a border, and SciPy's correlation, channel by channel."""
    (J, m), count = world.sizes.widths, world.sizes.data
    grid = (world.sizes["height"] + 2, world.sizes["width"] + 2)
    net, iota = ConvolutionalNetwork.from_shape(grid, J, [Convolution(m, kernel=(3, 2))], kind=world.kind)
    W, b, x = world.array(m, J, 3, 2), world.array(m), world.array(count, *grid, J)
    weights = net.weights_from_arrays([W], [b], iota)
    z = net(weights, net.inputs.from_coordinates(x, iota)).coordinates(iota)
    to_numpy, ns = world.ns.to_numpy, world.ns.ordered("comparing with SciPy")
    kernel = to_numpy(world.ns.permute(W, (0, 2, 3, 1)))
    if world.planted("SciPy's kernel flipped"):
        kernel = kernel[:, ::-1, ::-1, :]
    yield same("z", z, ns.cast_numpy(cross_correlation(to_numpy(x), kernel)) + b)


def _flat_outputs(world: World, it: SharedInstance, chunk: Chunk, z: Array) -> tuple[Point, Any]:
    """Outputs and targets with data and locations on one axis."""
    count, places, m = z.shape
    flat = it.net.outputs.from_coordinates(world.ns.reshape(z, (count * places, m)), it.iota)
    targets = chunk.targets
    return flat, None if targets is None else world.ns.reshape(targets, (count * places, m))


# -- LG-4.4 ----------------------------------------------------------------------------------------------------
def change_between(
    world: World, one: Parameterization, other: Parameterization, space: Space
) -> tuple[Array, Array]:
    """(B, c) with ``y = B x + c``, from coordinates x in the one's frame to y in the other's."""
    matrix, translation = other[space].change_from(one[space])  # type: ignore[attr-defined]
    return world.ns.cast(matrix), world.ns.cast(translation)


def expanded_change(world: World, Omega: Array, gamma: Array, K: int) -> tuple[Array, Array]:
    """``I (x) Omega`` and ``1 (x) gamma``: the change on A^Delta (errata E1, E3)."""
    ns = world.ns
    if world.planted("translation of the first offset alone"):
        tail = ns.zeros(((K - 1) * gamma.shape[0],))
        return ns.kron(ns.eye(K), Omega), ns.concat([gamma, tail], axis=0)
    if world.planted("Omega (x) I for I (x) Omega"):
        return ns.kron(Omega, ns.eye(K)), ns.reshape(ns.broadcast_to(gamma, (K, gamma.shape[0])), (-1,))
    return ns.kron(ns.eye(K), Omega), ns.reshape(ns.broadcast_to(gamma, (K, gamma.shape[0])), (-1,))


def transformed_layer(world: World) -> Comparisons:
    """One abstract layer in two parameterizations: its parameters by (4.4), and the second one's own computation."""
    it = convolutional(world)
    ns, patches = world.ns, it.patches
    layer = it.net.layers[0]
    local = layer.domain.base  # type: ignore[attr-defined]
    Omega, gamma = change_between(world, it.iota, it.kappa, local)
    Phi, tau = change_between(world, it.kappa, it.iota, layer.codomain)
    W_bar, W_dagger = it.weights.coordinates(it.iota)[0], it.weights.coordinates(it.kappa)[0]
    big, shift = expanded_change(world, Omega, gamma, len(patches.offsets))
    yield same("(4.4)", W_dagger, transformed_weights(ns, W_bar, big, shift, Phi, tau))

    (chunk,) = it.data.chunks()
    a_dagger = ns.reshape(chunk.points.coordinates(it.kappa), (chunk.count, patches.count, -1))
    border = it.borders[0] @ Omega.mT + gamma
    if world.planted("zero padding with a translation"):
        border = ns.zeros(border.shape)
    double = MapNetwork((W_dagger,), (NoActivation(),), (border,), loss(world, 1), patches)
    z_dagger = forward_in_arrays(ns, double, a_dagger).preactivations[0]
    z = it.net(it.weights, chunk.points).coordinates(it.kappa)
    yield same("pre-activations in the second coordinates", ns.reshape(z, z_dagger.shape), z_dagger)


def grid(height: int, width: int, widths: tuple[int, ...], data: int, covectors: int = 1) -> Sizes:
    """Sizes of a convolutional instance."""
    return Sizes(widths, data, covectors, extra=(("height", height), ("width", width)))


ONE_LAYER = (grid(1, 1, (1, 1), 1), grid(2, 2, (1, 1), 1), grid(3, 2, (2, 3), 2, 2))
BORDER = "zero padding with a translation"

STATEMENTS = (
    Statement(
        id="LG-4.2/4.3",
        source="LG (4.1) to (4.3); GM (13), (15), (17), (18)",
        title="a convolution is one affine map of every patch",
        text=(
            "A convolution applies one affine map to the patch around every location; in homogeneous coordinates one "
            "matrix to every expanded patch.  The derivative of its weights is the sum over locations."
        ),
        latex=(
            r"\mathbf z_{i,t}=\sum_{j,\delta}\mathbf w_{i,j,\delta}\,\mathbf a_{j,t+\delta}+\mathbf b_i,\qquad"
            r"\mathcal D\mathbf w_{i,j,\delta}=\sum_{t}\mathbf a_{j,t+\delta}\,\mathcal D\mathbf z_{i,t}"
        ),
        hypotheses=("Outside the map stands a point of the activation space; here any point.",),
        checks=(
            Check("X", "location by location", one_map_of_every_patch, ONE_LAYER, "GF(p)"),
            Check("N", "location by location", one_map_of_every_patch, ONE_LAYER, "floating"),
            Check("N", "against scipy.signal", against_scipy, ONE_LAYER, "floating"),
        ),
        mutants=(
            Mutant("the kernel flipped", one_map_of_every_patch, ONE_LAYER[-1]),
            Mutant("the border left out", one_map_of_every_patch, ONE_LAYER[-1]),
            Mutant("one location dropped", one_map_of_every_patch, ONE_LAYER[-1]),
            Mutant("SciPy's kernel flipped", against_scipy, ONE_LAYER[-1], "floating"),
        ),
        objects=("networks.ConvolutionalNetwork", "maps.AffineMaps", "spaces.PowerSpace"),
    ),
    Statement(
        id="LG-4.4",
        source="LG (4.4), 4.1.2, as corrected by errata E1 and E3",
        title="a transformed convolution layer is the same layer in other bases",
        text=(
            "With other affine bases of local activations and pre-activations, the parameters of a convolution layer "
            "transform like those of a fully connected one, with I (x) Omega and 1 (x) gamma on patches; the border "
            "point is carried along like every other point."
        ),
        latex=(
            r"[\mathbf W_l]_H=[\Phi_l]_H\,[\mathbf W_l^\ddagger]_H\begin{pmatrix}\mathbf I\otimes\Omega_{l-1}&"
            r"\mathbf 1\otimes\gamma_{l-1}\\&1\end{pmatrix}"
        ),
        hypotheses=("The change of basis is the same at every location.",),
        checks=(
            Check("X", "parameters and pre-activations", transformed_layer, ONE_LAYER, "GF(p)"),
            Check("N", "parameters and pre-activations", transformed_layer, ONE_LAYER, "floating"),
            Check("C", BORDER, transformed_layer, ONE_LAYER, "GF(p)", drops=BORDER),
        ),
        mutants=(
            Mutant("translation of the first offset alone", transformed_layer, ONE_LAYER[-1]),
            Mutant("Omega (x) I for I (x) Omega", transformed_layer, ONE_LAYER[-1]),
        ),
        objects=("networks.ConvolutionalNetwork", "spaces.PowerSpace", "spaces.Hull"),
    ),
)
