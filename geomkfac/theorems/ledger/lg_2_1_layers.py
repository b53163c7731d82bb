"""LG 2.1.3: the K-FAC matrix of a network, its laws of transformation, and what it is not invariant to."""

from __future__ import annotations

from geomkfac.arrays.array import Array
from geomkfac.metrics import ExpectedMetric, IndependenceMetric, PullbackMetric
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, given, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import abstract_network
from geomkfac.theorems.instances.basis import random_bases, transformed
from geomkfac.theorems.instances.smooth_functions import activation, loss
from geomkfac.theorems.instances.textbook.fully_connected import (
    MatrixNetwork,
    backward,
    factors,
    forward,
    gradients,
    total_of,
    weighted_squares,
)
from geomkfac.theorems.ledger.lg_2_1_fisher import flattened
from geomkfac.theorems.ledger.lg_3_4 import one_layer


# -- (2.8) ---------------------------------------------------------------------------------------------------
def block_is_the_mean_of_products(world: World) -> Comparisons:
    """A layer's Fisher block is ``E[a_bar a_bar^T (x) Dz Dz^T]``, whatever depends on what."""
    it, ns = one_layer(world), world.ns
    a_bar = it.a_bar(world)
    blocks = []
    for n in range(world.sizes.data):
        G = weighted_squares(ns, it.weights[:, n], it.covectors[:, n, :])
        A = a_bar[n, :, None] * a_bar[n, None, :]
        if world.planted("a of the next datum"):
            A = a_bar[n - 1, :, None] * a_bar[n - 1, None, :]
        blocks.append((ns.kron(G, A) if world.planted("factors swapped") else ns.kron(A, G)) * it.shares[n])
    yield same("block", it.expected_pullback().coordinates(it.kappa), total_of(blocks))


def independent_activations_and_derivatives(world: World) -> Comparisons:
    """Where every activation meets every derivative, the block is ``E[a_bar a_bar^T] (x) E[Dz Dz^T]``.

    The sample is the product of two: of M activations and of N derivatives, with weights that multiply.
    """
    n, m = world.sizes.widths
    ns, count, K = world.ns, world.sizes.data, world.sizes.covectors
    M = world.sizes["activations"]
    a, phi, c = world.array(M, n, name="a"), world.array(K, count, m), world.positive(K, count)
    one, two = world.positive(M), world.positive(count)
    pairs_a = ns.reshape(ns.broadcast_to(a[:, None, :], (M, count, n)), (M * count, n))
    pairs_phi = ns.reshape(ns.broadcast_to(phi[:, None, :, :], (K, M, count, m)), (K, M * count, m))
    pairs_c = ns.reshape(ns.broadcast_to(c[:, None, :], (K, M, count)), (K, M * count))
    shares = ns.reshape(one[:, None] * two[None, :], (M * count,))
    if world.planted("weights that do not multiply"):
        shares = ns.reshape(one[:, None] + two[None, :], (M * count,))
    sizes_of_pairs = Sizes((n, m), M * count, K)
    it = one_layer(_resized(world, sizes_of_pairs), points=pairs_a, covectors=pairs_phi, weights=pairs_c)
    shares = shares / ns.sum(shares)
    block = ExpectedMetric(PullbackMetric(it.W.evaluation(it.points), it.metric), shares).at(it.w)
    product = IndependenceMetric(it.points, it.metric, shares).at(it.w)
    yield same("block and product", block.coordinates(it.kappa), product.coordinates(it.kappa).dense())


def _resized(world: World, sizes: Sizes) -> World:
    """The same world for another number of data."""
    other = World(world.kind, world.rng, sizes, namespace=world.ns)
    other.consulted = world.consulted
    return other


def dependent_activations_and_derivatives(world: World) -> Comparisons:
    """In general the block is not that product."""
    it = one_layer(world)
    product = IndependenceMetric(it.points, it.metric, it.shares).at(it.w)
    yield same("block and product", it.expected_pullback().coordinates(it.kappa), product.coordinates(it.kappa).dense())


# -- (2.9), (2.10) -------------------------------------------------------------------------------------------
def solves_with_the_kfac_matrix(world: World) -> Comparisons:
    """The K-FAC matrix is block diagonal; its inverse times the gradient is ``G_i^{-1} grad_i A_{i-1}^{-1}``."""
    it = abstract_network(world)
    ns = world.ns
    g, dh = it.net.kfac_metric(it.weights, it.data, it.loss), it.net.differential(it.weights, it.data, it.loss)
    matrix = g.coordinates(it.iota)
    grads = dh.coordinates(it.iota)
    steps = []
    for block, grad in zip(matrix.blocks, grads, strict=True):
        A, G = block.factors
        if world.planted("inverses on the other sides"):
            A, G = (G, A) if A.shape == G.shape else (A.mT @ A, G)
        step = ns.solve(G, ns.solve(A, grad.mT).mT)
        if world.planted("A multiplied, and not solved with"):
            step = ns.solve(G, grad) @ A
        steps.append(step)
    found = g.sharp(dh).coordinates(it.iota)
    for i, (one, other) in enumerate(zip(found, steps, strict=True), start=1):
        yield same(f"step of layer {i}", one, other)
    dense = ns.solve(matrix.dense(), flattened(world, list(grads))[:, None])[:, 0]
    yield same("the whole matrix, solved with", dense, flattened(world, list(found)))
    inverse, start = matrix.inverse().dense(), 0
    for i, block in enumerate(matrix.blocks, start=1):
        A, G = block.factors
        stop = start + block.size
        rows = inverse[start:stop, :]
        yield same(f"block {i} of the inverse", rows[:, start:stop], ns.kron(ns.inverse(A), ns.inverse(G)))
        beside = ns.concat([rows[:, :start], rows[:, stop:]], axis=1)
        if i > 1:
            yield same(f"what stands beside block {i}", beside, beside * 0)
        start = stop


# -- laws ----------------------------------------------------------------------------------------------------
def laws_of_transformation(world: World) -> Comparisons:
    """With ``a' = Om a + gamma`` and ``z = Phi z' + tau``: ``Dz' = Phi^T Dz``, ``A' = Om_bar A Om_bar^T``,
    ``G' = Phi^T G Phi``, ``grad' = Phi^T grad Om_bar^T``.
    """
    ns, widths, count = world.ns, world.sizes.widths, world.sizes.data
    pairs = list(zip(widths[1:], widths[:-1], strict=True))
    network = MatrixNetwork(
        tuple(world.array(m, n + 1, name="W") for m, n in pairs),
        tuple(activation(world) for _ in pairs),
        loss(world, widths[-1]),
    )
    bases = random_bases(world, widths)
    dagger = transformed(world, network, bases)
    x = world.array(count, widths[0], name="x")
    one, two = forward(ns, network, x), forward(ns, dagger, x @ bases.Omega[0].mT + bases.gamma[0])
    Dz = backward(network, one, network.loss.differential(one.activations[-1]))
    Dz_dagger = backward(dagger, two, dagger.loss.differential(two.activations[-1]))
    (A, G), (A_dagger, G_dagger) = factors(world, network, one), factors(world, dagger, two)
    grad, grad_dagger = gradients(ns, network, one), gradients(ns, dagger, two)
    for i in range(len(pairs)):
        Phi, Omega_bar = bases.Phi[i], _homogeneous_matrix(world, bases.Omega[i], bases.gamma[i])
        if world.planted("Phi for its transpose"):
            Phi = Phi.mT
        if world.planted("the translation left out"):
            Omega_bar = _homogeneous_matrix(world, bases.Omega[i], bases.gamma[i] * 0)
        yield same(f"Dz' of layer {i + 1}", Dz_dagger[i], Dz[i] @ Phi)
        yield same(f"A' of layer {i + 1}", A_dagger[i], Omega_bar @ A[i] @ Omega_bar.mT)
        yield same(f"G' of layer {i + 1}", G_dagger[i], Phi.mT @ G[i] @ Phi)
        # W = Phi W' Om_bar, so that a covector on W' is pulled back with both.
        into = ns.inverse(Omega_bar) if world.planted("the gradient moved with Om_bar^{-1}") else Omega_bar.mT
        yield same(f"gradient' of layer {i + 1}", grad_dagger[i], Phi.mT @ grad[i] @ into)


def _homogeneous_matrix(world: World, Omega: Array, gamma: Array) -> Array:
    """``[Omega gamma; 0 1]``."""
    ns, n = world.ns, Omega.shape[0]
    top = ns.concat([Omega, gamma[:, None]], axis=1)
    return ns.concat([top, ns.concat([ns.zeros((1, n)), ns.ones((1, 1))], axis=1)], axis=0)


# -- permuted entries ----------------------------------------------------------------------------------------
def natural_gradient_with_permuted_entries(world: World) -> Comparisons:
    """The exact natural gradient, with the entries of all weights permuted, is the natural gradient permuted."""
    it = abstract_network(world)
    ns, space = world.ns, it.net.weight_space.direction
    g, dh = it.net.fisher_metric(it.weights, it.data, it.loss), it.net.differential(it.weights, it.data, it.loss)
    frame = it.iota[space]
    permuted = frame.dense_change(world.for_frames(_permutation(world, space.dim)))
    F, grad = g.coordinates(permuted), dh.coordinates(permuted.dual)
    if world.planted("the matrix not permuted"):
        F = g.coordinates(it.iota)
    yield same("step", g.sharp(dh).coordinates(permuted), ns.solve(F, grad[:, None])[:, 0])


def kfac_block_with_permuted_entries(world: World) -> Comparisons:
    """A K-FAC block with permuted entries is no Kronecker product any more: no K-FAC metric has that matrix."""
    it = abstract_network(world)
    (block, *_) = it.net.kfac_metric(it.weights, it.data, it.loss).coordinates(it.iota).blocks
    A, G = block.factors
    n, m = A.shape[0], G.shape[0]
    matrix = block.dense()
    yield given("Kronecker rank of the block", _kronecker_rank(world, matrix, n, m), 1)
    P = _permutation(world, n * m)
    yield same("Kronecker rank of the permuted block", _kronecker_rank(world, P @ matrix @ P.mT, n, m), 1)


def _kronecker_rank(world: World, matrix: Array, n: int, m: int) -> int:
    """The rank of the rearrangement of Van Loan and Pitsianis: 1 for a Kronecker product of (n, n) and (m, m)."""
    ns = world.ns
    blocks = ns.permute(ns.reshape(matrix, (n, m, n, m)), (0, 2, 1, 3))
    return ns.rank(ns.reshape(blocks, (n * n, m * m)))


def _permutation(world: World, size: int) -> Array:
    """The one that exchanges the first two entries: in two rows of a weight matrix that has them."""
    order = list(range(size))
    order[0], order[1] = order[1], order[0]
    return world.ns.take(world.ns.eye(size), order, 0)


LAYER = (Sizes((1, 1), 3, 1), Sizes((2, 2), 4, 2), Sizes((3, 3), 5, 2))
SYMBOLIC = (Sizes((1, 1), 2, 1),)
PRODUCT = (
    Sizes((1, 1), 2, 1, extra=(("activations", 2),)),
    Sizes((2, 3), 3, 2, extra=(("activations", 4),)),
)
DEPENDENT = (Sizes((1, 1), 2, 1), Sizes((2, 2), 4, 2))
NETS = (Sizes((1, 1), 2, 1), Sizes((2, 2, 2), 4, 2), Sizes((3, 4, 3, 2), 6, 3))
MANY = (Sizes((3, 4, 3, 2), 40, 2),)
SMALL = (Sizes((1, 1), 2, 1), Sizes((1, 1, 1), 2, 1), Sizes((2, 3, 2), 4, 2))
FISHER = (Sizes((1, 1), 2, 1), Sizes((1, 2, 1), 8, 1), Sizes((2, 2, 2), 8, 2))
BLOCKS = (Sizes((1, 2), 4, 1), Sizes((2, 2, 2), 8, 2))

STATEMENTS = (
    Statement(
        id="LG-2.8",
        source="LG (2.8)",
        title="a layer's Fisher block, and where it is a Kronecker product",
        text=(
            "The block of the Fisher matrix that belongs to a layer is the mean of a_bar a_bar^T (x) Dz Dz^T; where "
            "activations and derivatives are independent it is the Kronecker product of the means, and otherwise not."
        ),
        latex=(
            r"\mathbf F_{ii}=\mathbb E\bigl[\bar{\mathbf a}\bar{\mathbf a}^\top\otimes"
            r"\mathcal D\mathbf z\mathcal D\mathbf z^\top\bigr]\approx\mathbf A_{i-1}\otimes\mathbf G_i"
        ),
        hypotheses=("For the second half: every activation occurs with every derivative, their weights multiplied.",),
        checks=(
            Check("X", "the block is a mean of products", block_is_the_mean_of_products, LAYER, "GF(p)"),
            Check("X", "independent: a product of means", independent_activations_and_derivatives, PRODUCT, "GF(p)"),
            Check("N", "the block is a mean of products", block_is_the_mean_of_products, LAYER, "floating"),
            Check("N", "independent: a product of means", independent_activations_and_derivatives, PRODUCT, "floating"),
            Check("C", "dependent: a product of means", dependent_activations_and_derivatives, DEPENDENT, "GF(p)"),
        ),
        mutants=(
            Mutant("a of the next datum", block_is_the_mean_of_products, LAYER[-1]),
            Mutant("factors swapped", block_is_the_mean_of_products, LAYER[-1]),
            Mutant("weights that do not multiply", independent_activations_and_derivatives, PRODUCT[-1]),
        ),
        objects=("metrics.PullbackMetric", "metrics.ExpectedMetric", "metrics.IndependenceMetric"),
    ),
    Statement(
        id="LG-2.9/2.10",
        source="LG (2.9), (2.10)",
        title="the K-FAC matrix is block diagonal; its inverse acts layer by layer",
        text=(
            "The inverse of the K-FAC matrix, applied to the gradient, is G_i^{-1} grad_i A_{i-1}^{-1} in every layer."
        ),
        latex=(
            r"\hat{\mathbf F}^{-1}\nabla h=\operatorname{vec}\bigl(\mathbf G_i^{-1}\,\nabla_{\bar{\mathbf W}_i}h\,"
            r"\mathbf A_{i-1}^{-1}\bigr)_i"
        ),
        hypotheses=("Every A_{i-1} and G_i is invertible.",),
        checks=(
            Check("X", "sharp, the operator, and the formula", solves_with_the_kfac_matrix, NETS, "GF(p)"),
            Check("S", "sharp, the operator, and the formula", solves_with_the_kfac_matrix, SYMBOLIC, "symbols"),
            Check(
                "N",
                "sharp, the operator, and the formula",
                solves_with_the_kfac_matrix,
                MANY,
                "floating",
                condition_power=4,
            ),
        ),
        mutants=(
            Mutant("inverses on the other sides", solves_with_the_kfac_matrix, Sizes((3, 4, 3, 2), 6, 3)),
            Mutant("A multiplied, and not solved with", solves_with_the_kfac_matrix, NETS[-1]),
        ),
        objects=("networks.MLP.kfac_metric", "operators.BlockDiagonal", "operators.KroneckerProduct"),
    ),
    Statement(
        id="LG-laws",
        source="LG 2.1.3 and its proof of Theorem 2.1",
        title="how derivatives, factors and gradients transform",
        text=(
            "In other bases the derivatives are Phi^T Dz, the factors Om_bar A Om_bar^T and Phi^T G Phi, the gradients "
            "Phi^T grad Om_bar^T, Om_bar being Omega with its translation in homogeneous coordinates."
        ),
        latex=(
            r"\mathcal D\mathbf z^\dagger=\Phi^\top\mathcal D\mathbf z,\quad"
            r"\mathbf A^\dagger=\bar\Omega\mathbf A\bar\Omega^\top,\quad\mathbf G^\dagger=\Phi^\top\mathbf G\Phi,\quad"
            r"\nabla^\dagger=\Phi^\top\nabla\,\bar\Omega^\top"
        ),
        hypotheses=("Omega and Phi are invertible.",),
        checks=(
            Check("X", "a network and its double", laws_of_transformation, SMALL, "GF(p)"),
            Check(
                "C",
                "the gradient moved as the step is",
                laws_of_transformation,
                SMALL,
                "GF(p)",
                drops="the gradient moved with Om_bar^{-1}",
            ),
        ),
        mutants=(
            Mutant("Phi for its transpose", laws_of_transformation, SMALL[-1]),
            Mutant("the translation left out", laws_of_transformation, SMALL[-1]),
            Mutant("homogeneous coordinate first", laws_of_transformation, SMALL[-1]),
        ),
        objects=("spaces.Parameterization",),
    ),
    Statement(
        id="LG-1-perm",
        source="LG 1",
        title="permuting the entries of weight matrices: natural gradient does not see it, K-FAC does",
        text=(
            "The exact natural gradient is the same with the entries of a weight matrix in any order.  The K-FAC "
            "metric "
            "is not of its own kind in another order: its blocks cease to be Kronecker products."
        ),
        latex=r"(P\mathbf FP^\top)^{-1}P\nabla h=P\,\mathbf F^{-1}\nabla h",
        hypotheses=("F is nondegenerate.",),
        checks=(
            Check("X", "natural gradient", natural_gradient_with_permuted_entries, FISHER, "GF(p)"),
            Check("C", "K-FAC", kfac_block_with_permuted_entries, BLOCKS, "GF(p)"),
        ),
        mutants=(Mutant("the matrix not permuted", natural_gradient_with_permuted_entries, FISHER[-1]),),
        objects=("networks.MLP.fisher_metric", "spaces.DenseFrame"),
    ),
)
