"""LG 3.5: additive metrics, and the K-FAC metric of a network."""

from __future__ import annotations

from collections.abc import Sequence

from geomkfac.arrays.array import Array
from geomkfac.metrics import AdditiveMetric, CovectorTensor, DirectSumTensor, IndependenceMetric, Metric, MetricTensor
from geomkfac.spaces import AffineSpace, Parameterization, Point, ProductSpace, Vector
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, given, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import (
    LayerOfData,
    abstract_network,
    constant_metric,
    layers_of_data,
    random_direction,
)
from geomkfac.theorems.instances.textbook.fully_connected import weighted_squares


def block_diagonal(world: World, blocks: Sequence[Array]) -> Array:
    """The matrix with these blocks on its diagonal, and zeros elsewhere."""
    ns, total = world.ns, sum(block.shape[0] for block in blocks)
    rows, before = [], 0
    for block in blocks:
        size = block.shape[0]
        after = total - before - size
        rows.append(ns.concat([ns.zeros((size, before)), block, ns.zeros((size, after))], axis=1))
        before += size
    return ns.concat(rows, axis=0)


# -- (3.7) ---------------------------------------------------------------------------------------------------
def additive_metric(world: World) -> Comparisons:
    """(3.7) for any number of terms: the values of the form, and its matrix in a product frame."""
    spaces = [AffineSpace(f"M{i}", n, world.kind) for i, n in enumerate(world.sizes.widths, start=1)]
    iota = Parameterization([space.frame("iota") for space in spaces], name="iota")
    kappa = iota.random(world.rng, name="kappa")
    metrics: list[Metric] = [constant_metric(world, iota[space]) for space in spaces]
    product = ProductSpace(*spaces)
    p: Point = product.from_coordinates([world.array(space.dim) for space in spaces], iota)
    u, v = (product.direction.from_coordinates([world.array(space.dim) for space in spaces], iota) for _ in "uv")
    g = _additive_tensor(world, metrics, product, p, iota)

    at_p = [metric.at(p_i) for metric, p_i in zip(metrics, product.split(p), strict=True)]
    parts = zip(at_p, product.direction.split(u), product.direction.split(v), strict=True)
    values = [g_i(u_i, v_i) for g_i, u_i, v_i in parts]
    yield given("g(u, v) = sum_i g_i(u_i, v_i)", g(u, v), sum(values[1:], values[0]))
    if world.planted("a frame that is no product frame"):
        frame = kappa[product.direction].dense_change(world.invertible(product.dim))
        matrix = g.coordinates(frame)
        yield same("block diagonal", matrix, block_diagonal(world, _diagonal_blocks(matrix, world.sizes.widths)))
        return
    blocks = [g_i.coordinates(kappa) for g_i in at_p]
    yield same("block diagonal", _matrix(g, kappa), block_diagonal(world, blocks))


def _additive_tensor(
    world: World, metrics: list[Metric], product: ProductSpace, p: Point, iota: Parameterization
) -> MetricTensor:
    """``(g_1 + ... + g_L)(p)``."""
    g: DirectSumTensor = AdditiveMetric(*metrics).at(p)  # type: ignore[assignment]
    if world.planted("a term counted twice"):
        return DirectSumTensor(*g.parts[:-1], g.parts[-1] + g.parts[-1])
    if world.planted("cross terms"):
        parts = [world.array(1, n) for n in world.sizes.widths]
        mixing: Vector = product.direction.dual.from_coordinates(parts, iota)
        return g + CovectorTensor(world.ns.ones((1,)), mixing)
    return g


def _matrix(g: MetricTensor, frames: Parameterization) -> Array:
    matrix = g.coordinates(frames)
    return matrix.dense() if hasattr(matrix, "dense") else matrix


def _diagonal_blocks(matrix: Array, sizes: Sequence[int]) -> list[Array]:
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [matrix[start : start + size, start : start + size] for start, size in zip(starts, sizes, strict=True)]


# -- the K-FAC metric ----------------------------------------------------------------------------------------
def kfac_metric_by_its_definition(world: World) -> Comparisons:
    """What the network's own code computes, against Definition 3.9 put together from its parts, and (2.9)."""
    it = abstract_network(world)
    g = it.net.kfac_metric(it.weights.expressed_in(it.kappa), it.data.expressed_in(it.kappa), it.loss)
    layers = layers_of_data(world, it, it.loss.metric)
    terms = [IndependenceMetric(layer.points, layer.metric_on_Z, layer.shares) for layer in layers]
    by_definition = AdditiveMetric(*terms).at(it.weights)
    derivatives = layers[:1] + layers[:-1] if world.planted("Dz of the layer before") else layers
    blocks = [_textbook_block(world, *pair, it.kappa) for pair in zip(layers, derivatives, strict=True)]
    for i, block in enumerate(g.coordinates(it.kappa).blocks):
        own = by_definition.coordinates(it.kappa).blocks[i]
        yield same(f"layer {i + 1}: the network's metric and Definition 3.9", block.dense(), own.dense())
        yield same(f"layer {i + 1}: the network's metric and (2.8)", block.dense(), blocks[i])


def _textbook_block(world: World, layer: LayerOfData, other: LayerOfData, frames: Parameterization) -> Array:
    """``E[a_bar a_bar^T] (x) E[Dz Dz^T]`` in coordinates; `other` is the layer that Dz is read from."""
    ns = world.ns
    a_bar = layer.a_bar(world, frames)
    Dz, w = other.covectors.coordinates(frames), layer.shares
    A = (a_bar * w[:, None]).mT @ a_bar
    if world.planted("mean left out of A"):
        A = A - (a_bar.mT @ w)[:, None] * (a_bar.mT @ w)[None, :]
    G = weighted_squares(ns, other.weights * w, Dz)
    if world.planted("G diagonal"):
        G = G * ns.eye(G.shape[0])
    return ns.kron(A, G)


def a_sum_of_squares(world: World) -> Comparisons:
    """``g_KFAC(v, v)`` is a sum of squares over layers, pairs of data and covectors."""
    it = abstract_network(world)
    g = it.net.kfac_metric(it.weights, it.data, it.loss)
    space = it.net.weight_space.direction
    u, v = (random_direction(world, it.net, it.iota) for _ in "uv")
    total = world.ns.scalar(0)
    for layer, v_i in zip(layers_of_data(world, it, it.loss.metric), space.split(v), strict=True):
        images = layer.a_bar(world, it.iota) @ v_i.coordinates(it.iota).mT
        roots = layer.covectors.coordinates(it.iota) @ images.mT
        squares = roots * roots
        if world.planted("a and z of one datum together"):
            squares = squares * world.ns.eye(world.sizes.data)
        total = total + world.ns.sum(squares * (layer.weights * layer.shares)[..., None] * layer.shares)
        if world.planted("only the first layer"):
            break
    yield same("g_KFAC(v, v)", g(v, v), total)
    yield same("symmetry", g(u, v), g(v, u))


def nondegenerate(world: World) -> Comparisons:
    """Every layer's expected pullback nondegenerate implies the K-FAC metric nondegenerate; by ranks."""
    it = abstract_network(world)
    output = constant_metric(world, it.iota[it.net.outputs])
    for i, layer in enumerate(layers_of_data(world, it, output), start=1):
        world.assume(f"the expected pullback of layer {i} is nondegenerate", not layer.expected_pullback.is_degenerate)
    data = it.data
    if world.planted("statistics of one datum"):
        data = it.iota.sample(world.array(1, it.net.inputs.dim))
    if world.planted("an output metric of rank one"):
        output = constant_metric(world, it.iota[it.net.outputs], rank=1)
    yield same("g_KFAC is nondegenerate", it.net.kfac_metric(it.weights, data, output).nullity, 0)


TERMS = (Sizes((1, 1)), Sizes((1, 2, 1)), Sizes((2, 3, 1, 2)))
NETS = (Sizes((1, 1), 3, 1), Sizes((1, 2, 1), 4, 1), Sizes((2, 2, 2), 5, 2), Sizes((3, 3, 3, 2), 5, 2))
RANKED = (Sizes((1, 1, 1), 6), Sizes((2, 2, 2), 10))
NO_PRODUCT = "a frame that is no product frame"
IMPLICATION = "nondegenerate where every layer's expected pullback is"

STATEMENTS = (
    Statement(
        id="LG-3.7",
        source="LG (3.7) and the display after it",
        title="additive metrics are block diagonal in product frames",
        text=(
            "The additive metric of any number of metrics adds up their values on the components of vectors; its "
            "matrix is block diagonal in every product frame, and in other frames it need not be."
        ),
        latex=r"(g_1+\dots+g_L)(p)(u,v)=\sum_i g_i(p_i)(u_i,v_i)",
        hypotheses=("The frame of the product is made of frames of its factors.",),
        checks=(
            Check("X", "four terms", additive_metric, TERMS, "GF(p)"),
            Check("S", "four terms", additive_metric, TERMS[1:2], "symbols"),
            Check("N", "four terms", additive_metric, TERMS, "floating"),
            Check("C", NO_PRODUCT, additive_metric, TERMS, "GF(p)", drops=NO_PRODUCT),
        ),
        mutants=(
            Mutant("a term counted twice", additive_metric, TERMS[-1]),
            Mutant("cross terms", additive_metric, TERMS[-1]),
        ),
        objects=("metrics.AdditiveMetric", "metrics.DirectSumTensor"),
    ),
    Statement(
        id="LG-D3.9",
        source="LG Definition 3.9, (3.8), (2.9)",
        title="the K-FAC metric",
        text=(
            "The K-FAC metric is the sum of the independence metrics of the layers, for the output metric pulled "
            "back to their pre-activations; its matrix has the blocks A_{i-1} (x) G_i."
        ),
        latex=(
            r"g_{\mathrm{KFAC}}=\sum_i\mathbb E[\alpha_{i-1}\otimes\alpha_{i-1}]\otimes"
            r"\mathbb E[(\varphi^i_\xi)^*g(\zeta_i)]"
        ),
        hypotheses=("None: the metric may be degenerate.",),
        checks=(
            Check("X", "the network's metric, its definition, and (2.8)", kfac_metric_by_its_definition, NETS, "GF(p)"),
            Check(
                "N", "the network's metric, its definition, and (2.8)", kfac_metric_by_its_definition, NETS, "floating"
            ),
        ),
        mutants=(
            Mutant("Dz of the layer before", kfac_metric_by_its_definition, NETS[2]),
            Mutant("mean left out of A", kfac_metric_by_its_definition, NETS[-1]),
            Mutant("G diagonal", kfac_metric_by_its_definition, NETS[-1]),
        ),
        objects=("networks.MLP.kfac_metric", "metrics.AdditiveMetric"),
    ),
    Statement(
        id="LG-T3.10",
        source="LG Theorem 3.10",
        title="the K-FAC metric is a metric, and nondegenerate where every layer's expected pullback is",
        text=(
            "The K-FAC metric is symmetric and a sum of squares; and if the expected pullback of the output metric "
            "to every layer's weight space is nondegenerate, it is too."
        ),
        latex=(
            r"\mathbb E_\xi[(\Psi^i_\xi)^*g]\text{ nondegenerate for every }i"
            r"\;\Longrightarrow\;g_{\mathrm{KFAC}}\text{ nondegenerate}"
        ),
        hypotheses=(
            "g is a metric on the outputs.",
            "For the second half: scalars are ordered, and every layer's expected pullback is nondegenerate; softmax "
            "outputs on all their logits exclude that for the last layer.",
        ),
        checks=(
            Check("X", "sum of squares", a_sum_of_squares, NETS[:-1], "GF(p)"),
            Check("N", "sum of squares", a_sum_of_squares, NETS[:-1], "floating"),
            Check("X", IMPLICATION, nondegenerate, RANKED, "Q"),
            Check("N", IMPLICATION, nondegenerate, RANKED, "floating"),
        ),
        mutants=(
            Mutant("a and z of one datum together", a_sum_of_squares, NETS[2]),
            Mutant("only the first layer", a_sum_of_squares, NETS[2]),
            Mutant("statistics of one datum", nondegenerate, RANKED[-1], "Q"),
            Mutant("an output metric of rank one", nondegenerate, RANKED[-1], "Q"),
        ),
        objects=("networks.MLP.kfac_metric", "metrics.DirectSumTensor"),
    ),
)
