"""Errata of GM that do not concern convolution: as printed they fail, as corrected they hold."""

from __future__ import annotations

from geomkfac.arrays.array import Array
from geomkfac.metrics import EuclideanMetric, Gaussian
from geomkfac.operators import KroneckerProduct
from geomkfac.spaces import AffineSpace
from geomkfac.theorems.engine.errata import TYPES, corrected_and_printed, erratum_statement
from geomkfac.theorems.engine.statement import Check, Comparisons, Erratum, Mutant, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import abstract_network, layers_of_data
from geomkfac.theorems.instances.textbook.fully_connected import weighted_squares
from geomkfac.theorems.ledger.gm_damping import schatten_norm_of_order_three, subspace_minimizer


def moments_of_derivatives(world: World) -> Comparisons:
    """(6): the second factor of a block is the second moment of the derivatives Ds, and not of the pre-activations
    s.
    """
    it = abstract_network(world)
    ns = world.ns
    blocks = it.net.kfac_metric(it.weights, it.data, it.loss).coordinates(it.iota).blocks
    omegas = it.net.weight_space.split(it.weights)
    for i, (block, layer) in enumerate(zip(blocks, layers_of_data(world, it, it.loss.metric), strict=True)):
        rows, weights = layer.covectors.coordinates(it.iota), layer.weights * layer.shares
        if world.planted("of s, as printed"):
            rows, weights = omegas[i](layer.points).coordinates(it.iota)[None, ...], layer.shares[None, :]
        yield same(f"layer {i + 1}", block.factors[1], weighted_squares(ns, weights, rows))


def half_of_the_form(world: World) -> Comparisons:
    """Of a Gaussian with unit covariance the KL divergence is ``1/2 v^T F v`` exactly; without the half it is not."""
    (m,), ns = world.sizes.widths, world.ns
    space = AffineSpace("Z", m, world.kind)
    frame = space.frame("mu")
    mean, v = world.array(m, name="\\mu"), world.array(m, name="v")
    point, vector = space.from_coordinates(mean[None, :], frame), space.direction.from_coordinates(v, frame.linear)
    F = (Gaussian().on(frame).fisher(point) if not world.is_exact else EuclideanMetric(frame).at(point)).expectation()  # type: ignore[attr-defined]
    # KL of N(mu, 1) from N(mu + v, 1): the mean of (x - mu - v)^2/2 - (x - mu)^2/2 is |v|^2/2.
    moved = mean + v
    divergence = ns.sum((mean - moved) * (mean - moved)) / 2
    form = F(vector, vector)
    yield same("KL", divergence, form if world.planted("without the half, as printed") else form / 2)


def three_norms(world: World) -> Comparisons:
    """(10) in the trace, Frobenius and operator norms: each is least at its own pi, against a scan."""
    n, m = world.sizes.widths
    ns = world.ns.ordered("norms")
    R, T = world.array(n, n), world.array(m, m)
    A, G, gamma = R.mT @ R * 16.0, T.mT @ T, 0.3
    X, Y = ns.kron(A, ns.eye(m)), ns.kron(ns.eye(n), G)
    product, identity = KroneckerProduct(A, G), KroneckerProduct(ns.eye(n), ns.eye(m))
    exact = product.dense() + ns.eye(n * m) * gamma

    def size(name: str, matrix: Array) -> float:
        values = ns.singular_values(matrix)
        return float({"trace": ns.sum(values), "Frobenius": ns.norm(values), "operator": ns.max(values)}[name])

    for name in ("trace", "Frobenius", "operator"):
        pi = (size(name, X) / size(name, Y)) ** 0.5
        if world.planted("the inverse ratio"):
            pi = 1.0 / pi
        residuals = [
            size(name, product.damped_by(identity, gamma, "factored", pi=pi * 2.0 ** (k / 4)).dense() - exact)
            for k in range(-12, 13)
        ]
        yield same(f"{name}: none is better", bool(residuals[12] <= min(residuals) * (1 + 1e-12)), True)


ONE = (Sizes((1,)), Sizes((3,)))
NETS = (Sizes((1, 1, 1), 2, 1), Sizes((2, 2, 2), 4, 2))
NORMS = (Sizes((2, 2)), Sizes((3, 4)))
SUBSPACE = (Sizes((2,)), Sizes((4,)))

STATEMENTS = (
    erratum_statement(
        "E14",
        "the quadratic model's matrix",
        Erratum("GM A.2, C_ij", "v_i^T F v_j", "v_i^T (F + (r + lambda) I) v_j"),
        corrected_and_printed(subspace_minimizer, SUBSPACE, "F alone in C, as printed"),
        latex=r"C_{ij}=\mathbf v_i^\top\bigl(\mathbf F+(r+\lambda)\mathbf I\bigr)\mathbf v_j",
    ),
    erratum_statement(
        "E17",
        "second moments of derivatives",
        Erratum("GM (6)", "second moments of W and s", "of DW and Ds", TYPES),
        corrected_and_printed(moments_of_derivatives, NETS, "of s, as printed"),
        latex=r"\mathbf G=\mathbb E\bigl[\mathcal D\mathbf s\,\mathcal D\mathbf s^\top\bigr]",
        objects=("networks.MLP.kfac_metric",),
    ),
    erratum_statement(
        "E19",
        "half of the form is the divergence",
        Erratum("GM A.1", "v^T F v approximates the KL divergence", "half of it does"),
        (
            Check("X", "as corrected, a Gaussian", half_of_the_form, ONE, "GF(p)"),
            Check("N", "as corrected, a Gaussian", half_of_the_form, ONE, "floating"),
            Check("C", "as printed", half_of_the_form, ONE, "GF(p)", drops="without the half, as printed"),
        ),
        latex=r"\mathrm{KL}\approx\tfrac12\mathbf v^\top\mathbf F\mathbf v",
        objects=("metrics.Gaussian",),
    ),
    erratum_statement(
        "E20",
        "in which norms the balance is best",
        Erratum(
            "GM (10)",
            "pi minimizes the residual in some matrix norm, whichever is taken",
            "true for the trace, Frobenius and operator norm, and not for every norm",
        ),
        (
            Check("N", "the three norms", three_norms, NORMS, "floating"),
            Check("C", "the Schatten norm of order 3", schatten_norm_of_order_three, (Sizes((2, 2)),), "Q"),
        ),
        (Mutant("the inverse ratio", three_norms, NORMS[-1], "floating"),),
        r"\pi=\sqrt{\frac{\lVert\mathbf A\otimes\mathbf I\rVert}{\lVert\mathbf I\otimes\mathbf G\rVert}}",
        ("operators.KroneckerProduct.damped_by",),
    ),
)
