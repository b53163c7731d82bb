"""GM 3: how the Fisher block of a convolution factors, and how its factors are estimated."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import NotPositiveError
from geomkfac.metrics.tensors.symmetric_elimination import weighted_rows
from geomkfac.networks import Convolution, ConvolutionalNetwork
from geomkfac.theorems.engine.errata import corrected_and_printed, erratum_statement
from geomkfac.theorems.engine.statement import Check, Comparisons, Erratum, Mutant, Statement, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.abstract_networks import constant_metric
from geomkfac.theorems.instances.as_arrays import pass_in_arrays, unweighted
from geomkfac.theorems.instances.shared_networks import convolutional
from geomkfac.theorems.instances.textbook.fully_connected import homogeneous, total_of, weighted_squares
from geomkfac.theorems.instances.textbook.over_places import Patches, at_places, backward
from geomkfac.theorems.ledger.lg_4 import grid


def square_filter(world: World) -> Patches:
    """The filter {-R, ..., R}^2 on the world's map."""
    R = world.sizes["radius"]
    reach = range(-R, R + 1)
    return Patches((world.sizes["height"], world.sizes["width"]), tuple(itertools.product(reach, reach)))


def beta(world: World, patches: Patches, *offsets: tuple[int, ...]) -> int:
    """(24) with each factor clamped at 0: the number of locations at which all these offsets are inside the map."""
    total = 1
    for axis, length in enumerate(patches.grid):
        numbers = [delta[axis] for delta in offsets]
        factor = length - max(0, *numbers) + min(0, *numbers)
        if world.planted("border counted wrongly"):
            factor = length
        total *= factor if world.planted("not clamped, as printed") else max(0, factor)
    return total


# -- Lemma 1 ---------------------------------------------------------------------------------------------------
def second_moments_of_sums(world: World) -> Comparisons:
    """(45) to (47): all pairs of an activation map and a map of derivatives occur, with product weights (IAD)."""
    ns, patches, (J, m) = world.ns, square_filter(world), world.sizes.widths
    M, T, K = world.sizes.data, patches.count, len(patches.offsets)
    a, D = world.array(M, T, J), world.array(M, T, m)
    p, q = world.positive(M), world.positive(M)
    p, q = p / ns.sum(p), q / ns.sum(q)
    P = ns.reshape(patches.expand(ns, a, ns.zeros((J,))), (M, T, K * J))
    joint = p[:, None] * q[None, :]
    if world.planted("IAD dropped"):
        joint = ns.eye(M) * p[:, None]

    # Every derivative of the weights, DW = sum_t Ds_t a_{t + .}, and of the bias, for every pair.
    DW = ns.reshape(ns.matmul(D[None, ...].mT, P[:, None, ...]), (M * M, m * K * J))
    Db = ns.reshape(ns.broadcast_to(ns.sum(D, axis=1)[None, ...], (M, M, m)), (M * M, m))
    share = ns.reshape(joint, (M * M, 1))
    Eaa = [[(P[:, t, :] * p[:, None]).mT @ P[:, u, :] for u in range(T)] for t in range(T)]
    Edd = [[(D[:, t, :] * q[:, None]).mT @ D[:, u, :] for u in range(T)] for t in range(T)]
    Ea = [ns.sum(P[:, t, :] * p[:, None], axis=0)[None, :] for t in range(T)]
    pairs = [(t, u) for t in range(T) for u in range(T)]
    yield same("(45)", (DW * share).mT @ DW, total_of(ns.kron(Edd[t][u], Eaa[t][u]) for t, u in pairs))
    yield same("(46)", (DW * share).mT @ Db, total_of(ns.kron(Edd[t][u], Ea[t].mT) for t, u in pairs))
    bias = total_of(Edd[t][u] for t, u in pairs)
    if world.planted("|T| E[Ds Ds'], as printed"):
        bias = Edd[0][0] * T
    yield same("(47)", (Db * share).mT @ Db, bias)


# -- Theorem 1 -------------------------------------------------------------------------------------------------
@final
@dataclass(frozen=True, slots=True)
class Moments:
    """Moment functions under SH, as free numbers: M(j), Omega(j, j', d) and Gamma(i, i', d)."""

    mean: Array
    Omega: dict[tuple[int, ...], Array]
    Gamma: dict[tuple[int, ...], Array]

    @staticmethod
    def free(world: World, patches: Patches) -> Moments:
        """Drawn for every difference of locations that can occur; SUD unless it is dropped."""
        J, m = world.sizes.widths
        reach = [range(-4 * length - 8, 4 * length + 9) for length in patches.grid]
        near = [range(1 - length, length) for length in patches.grid]
        Omega = {d: world.array(J, J) for d in itertools.product(*reach) if _small(d, patches)}
        Gamma = {}
        for d in itertools.product(*near):
            Gamma[d] = world.array(m, m)
            if any(d) and not world.planted("SUD dropped"):
                Gamma[d] = world.ns.zeros((m, m))
        return Moments(world.array(J), Omega, Gamma)


def _small(d: tuple[int, ...], patches: Patches) -> bool:
    """Whether a difference of offsets plus one of locations can be `d`."""
    spread = 2 * max(max(map(abs, offset)) for offset in patches.offsets)
    return all(abs(entry) < length + spread for entry, length in zip(d, patches.grid, strict=True))


def block_under_the_assumptions(world: World) -> Comparisons:
    """(23): the double sums of Lemma 1 with SH and SUD put in are the entries of Omega (x) Gamma, with beta counts."""
    ns, patches = world.ns, square_filter(world)
    moments = Moments.free(world, patches)
    locations = list(itertools.product(*map(range, patches.grid)))
    G, zero = moments.Gamma, (0,) * len(patches.grid)

    def inside(t: tuple[int, ...], delta: tuple[int, ...]) -> bool:
        return all(0 <= x + d < length for x, d, length in zip(t, delta, patches.grid, strict=True))

    def minus(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(x - y for x, y in zip(a, b, strict=True))

    J, m = world.sizes.widths
    for delta, other in itertools.product(patches.offsets, patches.offsets):
        total = ns.zeros((m * J, m * J))
        for t, u in itertools.product(locations, locations):
            if not inside(t, delta) or not inside(u, other) or ns.is_zero(G[minus(u, t)]):
                continue
            apart = tuple(x + d for x, d in zip(minus(u, t), minus(other, delta), strict=True))
            total = total + ns.kron(moments.Omega[apart], G[minus(u, t)])
        count = beta(world, patches, delta, other)
        yield same(f"E[Dw Dw] at {delta}, {other}", total, ns.kron(moments.Omega[minus(other, delta)], G[zero]) * count)
    for delta in patches.offsets:
        total = ns.zeros((m, m))
        for t, u in itertools.product(locations, locations):
            if inside(t, delta):
                total = total + G[minus(u, t)]
        mean = moments.mean[:, None]
        yield same(f"E[Dw Db] at {delta}", ns.kron(mean, total), ns.kron(mean, G[zero]) * beta(world, patches, delta))
    total = total_of(G[minus(u, t)] for t, u in itertools.product(locations, locations))
    yield same("E[Db Db]", total, G[zero] * patches.count)


# -- Theorem 2 -------------------------------------------------------------------------------------------------
def estimates_are_the_factors(world: World) -> Comparisons:
    """Under SH, (26) is E[[[A]]^T [[A]]]: the package's own factors of maps that are the same at every location."""
    ns, patches, (J, m) = world.ns, square_filter(world), world.sizes.widths
    N, R = world.sizes.data, world.sizes["radius"]
    net, iota = ConvolutionalNetwork.from_shape(
        patches.grid, J, [Convolution(m, kernel=2 * R + 1, padding=R)], kind=world.kind
    )
    c = world.array(N, 1, 1, J)
    data = iota.sample(ns.broadcast_to(c, (N, *patches.grid, J)))
    weights = net.weight_space.from_coordinates([world.array(*net.layers[0].slots)], iota)
    block = net.kfac_metric(weights, data, constant_metric(world, iota[net.outputs]), sharing="kfc").coordinates(iota)
    found, _ = block.blocks[0].factors
    flat = ns.reshape(c, (N, J))
    Omega, mean = flat.mT @ flat / N, ns.sum(flat, axis=0)[:, None] / N
    rows = []
    for delta in patches.offsets:
        cells = [Omega * beta(world, patches, delta, other) for other in patches.offsets]
        rows.append(ns.concat([*cells, mean * beta(world, patches, delta)], axis=1))
    last = [mean.mT * beta(world, patches, delta) for delta in patches.offsets]
    corner = ns.reshape(ns.scalar(patches.count), (1, 1))
    rows.append(ns.concat([*last, corner], axis=1))
    yield same("Omega, (26)", found, ns.concat(rows, axis=0))


def estimates_by_their_formulas(world: World) -> Comparisons:
    """(32): ``[[A]]_H^T [[A]]_H / M`` and ``DS^T DS / (M |T|)``, and the package's factors in KFC's scaling."""
    it = unweighted(convolutional(world))
    ns, patches = world.ns, it.patches
    blocks = it.net.kfac_metric(it.weights, it.data, it.loss, sharing="kfc").coordinates(it.iota).blocks
    network, batch = pass_in_arrays(world, it, it.iota)
    weights, covectors = network.loss.metric(batch.outputs)
    parts = zip(blocks, batch.expanded, backward(ns, network, batch, covectors), strict=True)
    for index, (block, patched, Dz) in enumerate(parts, start=1):
        rows = homogeneous(ns, patched)
        scale = batch.count * (patches.count if world.planted("mean over locations for the sum") else 1)
        yield same(f"Omega of layer {index}", block.factors[0], rows.mT @ rows / scale)
        total = weighted_squares(ns, at_places(ns, weights, patches.count), Dz)
        yield same(f"Gamma of layer {index}", block.factors[1], total / (batch.count * patches.count))


# -- 3.1 -------------------------------------------------------------------------------------------------------
def positive_semidefinite(ns: Namespace, matrix: Array) -> bool:
    """Over Q by elimination, exactly; in floating point by eigenvalues, down to rounding."""
    if not ns.kind.is_exact:
        ordered = ns.ordered("eigenvalues")
        values, _ = ordered.eigh(matrix)
        return bool(float(ordered.max(-values)) <= matrix.shape[0] * ns.epsilon * ordered.norm(matrix))
    try:
        weights, _ = weighted_rows(ns, matrix)
    except NotPositiveError:
        return False
    return all(weight >= 0 for weight in ns.to_numpy(weights))


def estimated_factor(world: World) -> Comparisons:
    """The estimate (30) is positive semidefinite; empirical autocovariances put into (26) need not be.

    One map of one row and one channel.
    """
    ns, T, R = world.ns, world.sizes["width"], world.sizes["radius"]
    patches = Patches((T,), tuple((d,) for d in range(-R, R + 1)))
    a = world.array(1, T, 1)
    rows = homogeneous(ns, patches.expand(ns, a, ns.zeros((1,))))
    matrix = rows.mT @ rows
    if world.planted("empirical autocovariances in (26)") or world.planted("the border ignored, unbiased estimates"):
        matrix = _plugged(world, patches, a[0, :, 0])
    yield same("positive semidefinite", positive_semidefinite(ns, matrix), True)


def _plugged(world: World, patches: Patches, a: Array) -> Array:
    """(26) with means over the pairs of places that are inside; with |T| for beta where the border is ignored."""
    ns, (T,) = world.ns, patches.grid
    ignored = world.planted("the border ignored, unbiased estimates")

    def moment(d: int) -> Array:
        pairs = [(t, t + d) for t in range(T) if 0 <= t + d < T]
        return total_of(a[t] * a[u] for t, u in pairs) / len(pairs) if pairs else ns.scalar(0)

    def count(*offsets: tuple[int, ...]) -> int:
        return T if ignored else beta(world, patches, *offsets)

    mean = ns.sum(a) / T
    rows = []
    for delta in patches.offsets:
        cells = [moment(other[0] - delta[0]) * count(delta, other) for other in patches.offsets]
        rows.append(ns.stack([*cells, mean * count(delta)]))
    rows.append(ns.stack([*(mean * count(delta) for delta in patches.offsets), ns.scalar(T)]))
    return ns.stack(rows)


def normalised_autocovariance(world: World) -> Comparisons:
    """With sums of products divided by |T|, however few they are, the border may be ignored: a sum of squares (E39)."""
    ns, T, R = world.ns, world.sizes["width"], world.sizes["radius"]
    a, x = world.array(T), world.array(2 * R + 1)
    offsets = range(-R, R + 1)

    def moment(d: int) -> Array:
        pairs = [(t, t + d) for t in range(T) if 0 <= t + d < T]
        if world.planted("unbiased, as printed"):
            return total_of(a[t] * a[u] for t, u in pairs) / len(pairs) if pairs else ns.scalar(0)
        return total_of([ns.scalar(0), *(a[t] * a[u] for t, u in pairs)]) / T

    form = total_of(x[i] * x[j] * moment(e - d) for i, d in enumerate(offsets) for j, e in enumerate(offsets)) * T
    squares = []
    for s in range(-R, T + R):
        inner = [a[s + d] * x[i] for i, d in enumerate(offsets) if 0 <= s + d < T]
        root = total_of([ns.scalar(0), *inner])
        squares.append(root * root)
    yield same("x^T Omega x is a sum of squares", form, total_of(squares))


def filters(height: int, width: int, radius: int, widths: tuple[int, ...] = (1, 1), data: int = 2) -> Sizes:
    """Sizes of a map and a filter."""
    return Sizes(widths, data, extra=(("height", height), ("width", width), ("radius", radius)))


LEMMA = (filters(1, 1, 1), filters(2, 2, 1, (1, 2)), filters(1, 3, 1, (2, 2), 3))
BLOCK = (filters(1, 2, 1), filters(2, 2, 1, (2, 1)), filters(3, 2, 1, (2, 2)))
WIDE = (filters(1, 2, 2), filters(2, 1, 2, (2, 1)))
ROW = (filters(1, 3, 2), filters(1, 3, 2))
FORMULA = (grid(1, 1, (1, 1), 1), grid(2, 3, (2, 2, 3), 2, 2))
PLUGGED, IGNORED = "empirical autocovariances in (26)", "the border ignored, unbiased estimates"
FACTORS = (
    r"\hat{\mathbf F}_\ell=\Omega_{\ell-1}\otimes\Gamma_\ell,\quad"
    r"[\Omega]_{j\delta,j'\delta'}=\beta(\delta,\delta')\,\Omega(j,j',\delta'-\delta)"
)
BETA = r"\beta(\delta,\delta')=\prod_k\max\bigl(0,\;T_k-\max(\delta_k,\delta'_k,0)+\min(\delta_k,\delta'_k,0)\bigr)"

STATEMENTS = (
    Statement(
        id="GM-L1/GM-T1",
        source="GM Lemma 1, Theorem 1, (23) to (26), as corrected by errata E4 and E13",
        title="the Fisher block of a convolution layer factors under IAD, SH and SUD",
        text=(
            "With activations and derivatives independent, moments that depend on differences of locations alone, and "
            "derivatives uncorrelated between locations, the block is the tensor product of two matrices; the first "
            "counts at how many locations two offsets are inside the map."
        ),
        latex=FACTORS,
        hypotheses=(
            "IAD for the lemma; SH and SUD for the theorem.",
            "Activations are zero outside the map; each factor of beta is clamped at 0.",
        ),
        checks=(
            Check("X", "Lemma 1, on finite distributions", second_moments_of_sums, LEMMA, "GF(p)"),
            Check("X", "Theorem 1, moment functions free", block_under_the_assumptions, BLOCK, "GF(p)"),
            Check("X", "Theorem 1, filters wider than the map", block_under_the_assumptions, WIDE, "GF(p)"),
            Check("C", "IAD dropped", second_moments_of_sums, LEMMA[1:], "GF(p)", drops="IAD dropped"),
            Check("C", "SUD dropped", block_under_the_assumptions, BLOCK, "GF(p)", drops="SUD dropped"),
        ),
        mutants=(
            Mutant("border counted wrongly", block_under_the_assumptions, BLOCK[-1]),
            Mutant("|T| E[Ds Ds'], as printed", second_moments_of_sums, LEMMA[-1]),
        ),
        objects=("networks.ConvolutionalNetwork.kfac_metric",),
    ),
    Statement(
        id="GM-T2",
        source="GM Theorem 2, (30) to (32)",
        title="the factors are second moments of expanded activations and of derivatives",
        text=(
            "Under SH the activation factor is the expected square of the expanded activations, summed over locations, "
            "and the derivative factor a mean over locations: what the package computes with sharing='kfc'."
        ),
        latex=(
            r"\Omega=\mathbb E\bigl[[\![\mathbf A]\!]_H^\top[\![\mathbf A]\!]_H\bigr],\qquad"
            r"\Gamma=\tfrac1{|\mathcal T|}\mathbb E\bigl[\mathcal D\mathbf S^\top\mathcal D\mathbf S\bigr]"
        ),
        hypotheses=("SH; here maps that are the same at every location.",),
        checks=(
            Check("X", "(26) of homogeneous maps", estimates_are_the_factors, BLOCK, "GF(p)"),
            Check("N", "(26) of homogeneous maps", estimates_are_the_factors, BLOCK, "floating"),
            Check("X", "(32)", estimates_by_their_formulas, FORMULA, "GF(p)"),
            Check("N", "(32)", estimates_by_their_formulas, FORMULA, "floating"),
        ),
        mutants=(
            Mutant("border counted wrongly", estimates_are_the_factors, BLOCK[-1]),
            Mutant("mean over locations for the sum", estimates_by_their_formulas, FORMULA[-1]),
        ),
        objects=("networks.ConvolutionalNetwork.kfac_metric",),
    ),
    Statement(
        id="GM-3.1",
        source="GM 3.1, before and after (30)",
        title="which estimates of the activation factor are positive semidefinite",
        text=(
            "The estimate from expanded activations always is, as a sum of squares; empirical autocovariances put into "
            "(26) need not be."
        ),
        latex=r"\hat{\Omega}=[\![\mathbf A]\!]_H^\top[\![\mathbf A]\!]_H\succeq0",
        hypotheses=("None.",),
        checks=(
            Check("X", "the estimate (30)", estimated_factor, ROW, "Q"),
            Check("N", "the estimate (30)", estimated_factor, ROW, "floating"),
            Check("C", PLUGGED, estimated_factor, ROW, "Q", drops=PLUGGED),
        ),
        mutants=(Mutant(PLUGGED, estimated_factor, ROW[-1], "Q"),),
        objects=("networks.ConvolutionalNetwork.kfac_metric",),
    ),
    erratum_statement(
        "E4",
        "counts are not negative",
        Erratum("GM (24), (53)", "beta as a product of differences", "each factor clamped at 0"),
        corrected_and_printed(block_under_the_assumptions, WIDE, "not clamped, as printed"),
        (Mutant("border counted wrongly", block_under_the_assumptions, WIDE[-1]),),
        BETA,
    ),
    erratum_statement(
        "E13",
        "the bias' entry is a double sum too",
        Erratum(
            "GM (47)", "|T| E[Ds Ds'] under IAD alone", "a double sum over t and t'; |T| times one needs SH and SUD"
        ),
        (
            Check("X", "as corrected", second_moments_of_sums, LEMMA, "GF(p)"),
            Check("C", "as printed", second_moments_of_sums, LEMMA[1:], "GF(p)", drops="|T| E[Ds Ds'], as printed"),
        ),
        latex=(
            r"\mathbb E[\mathcal Db_i\mathcal Db_{i'}]=\sum_{t,t'}"
            r"\mathbb E[\mathcal Ds_{i,t}\mathcal Ds_{i',t'}]"
        ),
    ),
    erratum_statement(
        "E39",
        "when the border may be ignored",
        Erratum(
            "GM 3.1",
            "ignoring the border guarantees a positive semidefinite factor",
            "for the true or the 1/|T|-normalised autocovariance, not for the unbiased estimate",
        ),
        (
            Check("X", "as corrected: a sum of squares", normalised_autocovariance, ROW, "GF(p)"),
            Check("C", "as printed, unbiased", estimated_factor, ROW, "Q", drops=IGNORED),
        ),
        (Mutant("unbiased, as printed", normalised_autocovariance, ROW[-1]),),
        r"\hat\Omega(d)=\tfrac1{|\mathcal T|}\sum_{t,\,t+d\in\mathcal T}a_ta_{t+d}",
    ),
)
