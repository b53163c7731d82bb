"""GM 4: KFC under pointwise affine maps, and its relation to whitened activations (PRONG).  In GM's notation.

Rows are locations, the homogeneous coordinate comes first, columns of expanded activations run channel by
channel, and transformations multiply from the right.  Written so on purpose: the package has other conventions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import SpaceMismatchError
from geomkfac.theorems.engine.errata import TYPES, corrected_and_printed, erratum_statement
from geomkfac.theorems.engine.statement import Check, Comparisons, Erratum, Mutant, Statement, refuses, same
from geomkfac.theorems.engine.world import World
from geomkfac.theorems.instances.shared_networks import convolutional
from geomkfac.theorems.instances.textbook.over_places import Patches
from geomkfac.theorems.ledger.gm_factors import filters, square_filter
from geomkfac.theorems.ledger.lg_4 import grid
from geomkfac.theorems.ledger.lg_4_kfac import updates_in_arrays


def expanded(ns: Namespace, patches: Patches, a: Array, border: Array) -> Array:
    """``[[A]]_H``: rows of locations, ones first, then channel by channel; (N |T|, 1 + J |Delta|)."""
    rows = patches.expand(ns, a, border)
    K = len(patches.offsets)
    cube = ns.permute(ns.reshape(rows, (rows.shape[0], K, -1)), (0, 2, 1))
    return ns.concat([ns.ones((rows.shape[0], 1)), ns.reshape(cube, (rows.shape[0], -1))], axis=1)


def bordered(ns: Namespace, corner: Array, top: Array, left: Array, block: Array) -> Array:
    """``(corner top; left block)``."""
    return ns.concat([ns.concat([corner, top], axis=1), ns.concat([left, block], axis=1)], axis=0)


def on_expanded(ns: Namespace, V: Array, d: Array, K: int) -> Array:
    """``[[V]]_H = (1, d^T (x) 1^T; 0, V (x) I)``.  Source: GM (85)."""
    J = V.shape[0]
    top = ns.reshape(ns.broadcast_to(d[:, None], (J, K)), (1, J * K))
    return bordered(ns, ns.ones((1, 1)), top, ns.zeros((J * K, 1)), ns.kron(V, ns.eye(K)))


def homogeneous(ns: Namespace, U: Array, c: Array) -> Array:
    """``[U]_H = (1, c^T; 0, U)``.  Source: GM (80)."""
    return bordered(ns, ns.ones((1, 1)), c[None, :], ns.zeros((U.shape[0], 1)), U)


def with_row(ns: Namespace, W_bar: Array) -> Array:
    """``[W_bar]_H = (1, 0; b, W)``.  Source: GM (77)."""
    first = ns.concat([ns.ones((1, 1)), ns.zeros((1, W_bar.shape[1] - 1))], axis=1)
    return ns.concat([first, W_bar], axis=0)


@final
@dataclass(frozen=True, slots=True)
class LayerAndDouble:
    """One layer of N and of N-dagger: [[A]]_H, W_bar, DS of both, and what leads from one to the other."""

    rows: Array
    rows_dagger: Array
    W_bar: Array
    W_dagger: Array
    DS: Array
    DS_dagger: Array
    U: Array
    c: Array
    VV: Array


def one_layer(world: World) -> LayerAndDouble:
    """Arbitrary activations, border, derivatives and transformations; the dagger's parameters by (87)."""
    ns, patches, (J, m) = world.ns, square_filter(world), world.sizes.widths
    N, K = world.sizes.data, len(patches.offsets)
    a, border = world.array(N, patches.count, J), world.array(J)
    U, c, V, d = world.invertible(m), world.array(m), world.invertible(J), world.array(J)
    if world.planted("zero padding"):
        border = ns.zeros((J,))
        moved = border
    else:
        moved = border @ V + d
    rows, rows_dagger = expanded(ns, patches, a, border), expanded(ns, patches, a @ V + d, moved)
    W_bar, VV = world.array(m, J * K + 1), on_expanded(ns, V, d, K)
    if world.planted("[[V]]_H with d in the first offset alone"):
        VV = on_expanded(ns, V, d, K) * 1
        keep = ns.kron(ns.ones((1, J)), ns.eye(K)[:1, :])
        VV = bordered(ns, ns.ones((1, 1)), VV[:1, 1:] * keep, VV[1:, :1], VV[1:, 1:])
    UU = homogeneous(ns, U, c)
    W_dagger = (ns.inverse(UU).mT @ with_row(ns, W_bar) @ ns.inverse(VV).mT)[1:, :]
    DS = world.array(N * patches.count, m)
    return LayerAndDouble(rows, rows_dagger, W_bar, W_dagger, DS, DS @ U.mT, U, c, VV)


def same_function(world: World) -> Comparisons:
    """(84) and Lemma 2: the expanded activations transform by [[V]]_H, and the pre-activations agree."""
    it = one_layer(world)
    yield same("(84)", it.rows_dagger, it.rows @ it.VV)
    S, S_dagger = it.rows @ it.W_bar.mT, it.rows_dagger @ it.W_dagger.mT
    yield same("S = S-dagger U + 1 c^T", S, S_dagger @ it.U + it.c)


def equivalent_updates(world: World) -> Comparisons:
    """Lemma 3: an update of N-dagger with arbitrary P and R is one of N, by (101), (102)."""
    it, ns = one_layer(world), world.ns
    m, n = it.W_bar.shape
    P, R, alpha = world.array(m, m), world.array(n, n), world.number()
    grad, grad_dagger = it.DS.mT @ it.rows, it.DS_dagger.mT @ it.rows_dagger
    updated = it.W_dagger - alpha * (P @ grad_dagger @ R)
    back = (homogeneous(ns, it.U, it.c).mT @ with_row(ns, updated) @ it.VV.mT)[1:, :]
    P_here, R_here = it.U.mT @ P @ it.U, it.VV @ R @ it.VV.mT
    if world.planted("P without its U"):
        P_here = P
    step = alpha * (P_here @ grad @ R_here)
    if world.planted("W^(k+1) on the right, as printed"):
        yield same("(100)", back, back - step)
        return
    yield same("(100)", back, it.W_bar - step)


def factors_and_update(world: World) -> Comparisons:
    """Theorem 3: Omega-dagger = [[V]]^T Omega [[V]], Gamma-dagger = U Gamma U^T, and equal KFC updates."""
    it, ns, T = one_layer(world), world.ns, square_filter(world).count
    N, alpha = world.sizes.data, world.number()
    Omega, Omega_dagger = (rows.mT @ rows / N for rows in (it.rows, it.rows_dagger))
    Gamma, Gamma_dagger = (rows.mT @ rows / (N * T) for rows in (it.DS, it.DS_dagger))
    yield same("(106)", Omega_dagger, it.VV.mT @ Omega @ it.VV)
    inner = it.DS_dagger if world.planted("DS-dagger inside U . U^T, as printed") else it.DS
    yield same("(108), (109)", Gamma_dagger, it.U @ (inner.mT @ inner / (N * T)) @ it.U.mT)
    if world.planted("damping"):
        gamma = world.number() if world.is_exact else ns.scalar(0.1)
        Omega, Omega_dagger = (m + gamma * ns.eye(m.shape[0]) for m in (Omega, Omega_dagger))
    grad, grad_dagger = it.DS.mT @ it.rows, it.DS_dagger.mT @ it.rows_dagger
    updated = it.W_dagger - alpha * (ns.inverse(Gamma_dagger) @ grad_dagger @ ns.inverse(Omega_dagger))
    back = (homogeneous(ns, it.U, it.c).mT @ with_row(ns, updated) @ it.VV.mT)[1:, :]
    yield same("(116)", back, it.W_bar - alpha * (ns.inverse(Gamma) @ grad @ ns.inverse(Omega)))


def affine_map_of_a_patch(world: World) -> Comparisons:
    """(78): W acts on expanded activations; on local ones it is refused."""
    it = convolutional(world)
    omega = it.net.weight_space.split(it.weights)[0]
    layer = it.net.layers[0]
    patch = layer.domain.from_coordinates(world.array(*layer.domain.slots), it.iota)
    local = layer.domain.base  # type: ignore[attr-defined]
    point = local.from_coordinates(world.array(local.dim), it.iota)
    W_bar = it.weights.coordinates(it.iota)[0]
    flat = world.ns.reshape(patch.coordinates(it.iota), (-1,))
    yield same("[[A]]_H W_bar^T", omega(patch).coordinates(it.iota), W_bar[:, :-1] @ flat + W_bar[:, -1])
    argument = patch if world.planted("the corrected form put in its place") else point
    yield refuses("[A] [W]_H", SpaceMismatchError, lambda: omega(argument))


# -- Theorem 4 -------------------------------------------------------------------------------------------------
def block_with_white_derivatives(world: World) -> Comparisons:
    """(117) to (119): the double sums under IAD, SH, SUA and WD, counted location by location."""
    ns, patches, (J, _) = world.ns, square_filter(world), world.sizes.widths
    mu, B = world.array(J), world.array(J, J)
    Sigma, outer = B @ B.mT, mu[:, None] * mu[None, :]
    sources, K, T = patches.sources(), len(patches.offsets), patches.count
    for k in range(K):
        for other in range(K):
            total = ns.zeros((J, J))
            for t in range(T):
                for u in range(T):
                    white = t == u
                    if world.planted("1[delta = delta'] for 1[t = t'], as printed"):
                        white = k == other
                    first, second = sources[t * K + k], sources[u * K + other]
                    inside = first < T and (second < T or world.planted("one indicator, as printed"))
                    if white and inside:
                        # Over the border the printed form still counts a second moment, of different places.
                        total = total + (Sigma + outer if first == second else outer)
            both = [t for t in range(T) if sources[t * K + k] < T and sources[t * K + other] < T]
            moment = Sigma + outer if k == other else outer
            yield same(f"entries at offsets {k}, {other}", total, moment * len(both))


def idealized_prong(world: World) -> Comparisons:
    """Without beta, the step with Omega~ (x) I is gradient descent in the coordinates that whiten activations."""
    ns, patches, (J, m) = world.ns, square_filter(world), world.sizes.widths
    K, N = len(patches.offsets), world.sizes.data
    mu, B, alpha = world.array(J), world.invertible(J), world.number()
    Sigma = B @ B.mT
    ones = ns.ones((K, 1))
    column = ns.kron(mu[:, None], ones)
    Omega = bordered(
        ns,
        ns.ones((1, 1)),
        column.mT,
        column,
        ns.kron(Sigma, ns.eye(K)) + ns.kron(mu[:, None] * mu[None, :], ones @ ones.mT),
    )
    L = bordered(ns, ns.ones((1, 1)), ns.zeros((1, J * K)), column, ns.kron(B, ns.eye(K)))
    yield same("(131)", Omega, L @ L.mT)
    back = ns.inverse(B)
    V = back if world.planted("V = B^{-1}, as printed") else back.mT
    d = -(V.mT @ mu)
    yield same("white activations", V.mT @ Sigma @ V, ns.eye(J))
    VV = on_expanded(ns, V, d, K)
    yield same("(137) is L^{-T}", VV, ns.inverse(L).mT)
    a, border = world.array(N, patches.count, J), world.array(J)
    rows = expanded(ns, patches, a, border)
    rows_dagger = expanded(ns, patches, a @ V + d, border @ V + d)
    W_bar, DS = world.array(m, J * K + 1), world.array(N * patches.count, m)
    W_dagger = W_bar @ ns.inverse(VV).mT
    updated = (W_dagger - alpha * (DS.mT @ rows_dagger)) @ VV.mT
    metric = ns.inverse(Omega)
    if world.planted("centring left out"):
        metric = ns.inverse(bordered(ns, ns.ones((1, 1)), column.mT * 0, column * 0, Omega[1:, 1:]))
    yield same("(140)", updated, W_bar - alpha * (DS.mT @ rows) @ metric)


LAYER = (filters(1, 1, 1), filters(2, 1, 1, (1, 2), 12), filters(2, 2, 1, (2, 3), 8))
N_LAYER = (filters(2, 2, 1, (1, 2), 12), filters(2, 2, 1, (2, 2), 20))
FULL = (filters(2, 2, 1, (1, 1), 6), filters(2, 3, 1, (2, 3), 8))
WHITE = (filters(1, 2, 1), filters(2, 2, 1, (2, 2)))
NETS = (grid(2, 2, (1, 1, 1), 2, 1), grid(2, 3, (2, 3, 2), 3, 2))
MAPS = (grid(1, 2, (1, 1), 1), grid(2, 2, (2, 3), 2))
PRINTED_E15, PRINTED_E21 = "DS-dagger inside U . U^T, as printed", "W^(k+1) on the right, as printed"

STATEMENTS = (
    Statement(
        id="GM-L2/GM-L3/GM-T3",
        source="GM Lemma 2, Lemma 3, Theorem 3, (84) to (116), as corrected by errata E3, E15, E21",
        title="KFC is invariant to pointwise affine maps of activations and pre-activations",
        text=(
            "Transformed layers compute the same function with the parameters of Lemma 2; updates with factors P and R "
            "correspond by Lemma 3; the factors of KFC transform so that its updates are the same."
        ),
        latex=(
            r"\Omega^\dagger=[\![\mathbf V]\!]_H^\top\Omega[\![\mathbf V]\!]_H,\quad"
            r"\Gamma^\dagger=\mathbf U\Gamma\mathbf U^\top"
        ),
        hypotheses=(
            "What stands outside the map is a point and is transformed too (erratum E3).",
            "U and V are invertible, and so are the factors.",
        ),
        checks=(
            Check("X", "Lemma 2", same_function, LAYER, "GF(p)"),
            Check("X", "Lemma 3", equivalent_updates, LAYER, "GF(p)"),
            Check("X", "Theorem 3, one layer", factors_and_update, FULL, "GF(p)"),
            Check("X", "Theorem 3, whole networks", updates_in_arrays, NETS, "GF(p)"),
            Check("N", "Lemma 2", same_function, LAYER, "floating"),
            Check("N", "Theorem 3, one layer", factors_and_update, N_LAYER, "floating", condition_power=4),
            Check("C", "damping", factors_and_update, FULL, "GF(p)", drops="damping"),
            Check("C", "zero padding", same_function, LAYER, "GF(p)", drops="zero padding"),
        ),
        mutants=(
            Mutant("[[V]]_H with d in the first offset alone", same_function, LAYER[-1]),
            Mutant("P without its U", equivalent_updates, LAYER[-1]),
        ),
        objects=("networks.ConvolutionalNetwork.kfac_metric", "networks.ConvolutionalNetwork"),
    ),
    Statement(
        id="GM-T4",
        source="GM Theorem 4, (117) to (140), as corrected by errata E5 and E16",
        title="white derivatives and uncorrelated activations make KFC idealized PRONG",
        text=(
            "Under IAD, SH, SUA and WD, with the counts dropped, the approximate natural gradient step is a gradient "
            "step in the coordinates that whiten the activations at every location."
        ),
        latex=(
            r"\bar{\mathbf W}-\alpha\,(\nabla_{\bar{\mathbf W}}h)\,\tilde{\Omega}^{-1},\quad"
            r"\tilde{\Omega}=\mathbf L\mathbf L^\top,\quad"
            r"\bar{\mathbf W}^\dagger=\bar{\mathbf W}\mathbf L"
        ),
        hypotheses=("IAD, SH, SUA, WD; B is any root of Sigma, not symmetric.",),
        checks=(
            Check("X", "entries, with counts", block_with_white_derivatives, WHITE, "GF(p)"),
            Check("X", "PRONG", idealized_prong, LAYER, "GF(p)"),
            Check("N", "PRONG", idealized_prong, LAYER, "floating", condition_power=4),
        ),
        mutants=(
            Mutant("centring left out", idealized_prong, LAYER[-1]),
            Mutant("V = B^{-1}, as printed", idealized_prong, LAYER[-1]),
        ),
    ),
    erratum_statement(
        "E3",
        "zero padding is no affine notion",
        Erratum(
            "GM (84) and Theorem 3; LG Theorem 4.2",
            "with zeros outside the map, expanding transformed activations is transforming expanded ones",
            "false at borders when the map translates; true without padding, or where the padding is a point of the "
            "activation space and is carried along",
        ),
        corrected_and_printed(same_function, LAYER, "zero padding"),
        latex=r"[\![\mathbf A\mathbf V+\mathbf 1\mathbf d^\top]\!]_H=[\![\mathbf A]\!]_H[\![\mathbf V]\!]_H",
        objects=("networks.Convolution",),
    ),
    erratum_statement(
        "E5",
        "which root whitens",
        Erratum(
            'GM (135), (136), "V = B^{-1}", the lower right block of (137)',
            "B^{-1} where B B^T = Sigma",
            "B^{-T}; d and the upper right block are right",
        ),
        (
            Check("X", "as corrected", idealized_prong, LAYER, "GF(p)"),
            Check("C", "as printed", idealized_prong, LAYER[-1:], "GF(p)", drops="V = B^{-1}, as printed"),
        ),
        latex=r"\mathbf A^\dagger=(\mathbf A-\mathbf 1\mu^\top)\mathbf B^{-\top}",
    ),
    erratum_statement(
        "E15",
        "derivatives of which network",
        Erratum("GM (108), (109)", "E[(DS')^T DS'] inside U . U^T", "E[DS^T DS]"),
        corrected_and_printed(factors_and_update, FULL, PRINTED_E15),
        latex=(
            r"\Gamma^\dagger=\tfrac1{|\mathcal T|}\mathbf U\,"
            r"\mathbb E[\mathcal D\mathbf S^\top\mathcal D\mathbf S]\,\mathbf U^\top"
        ),
    ),
    erratum_statement(
        "E16",
        "indicators of locations",
        Erratum(
            "GM (121), (123), (125), (126)",
            "1[delta = ...] of offsets; one indicator of the map",
            "1[t = t'], and 1[t + delta' in T] besides",
        ),
        (
            Check("X", "as corrected", block_with_white_derivatives, WHITE, "GF(p)"),
            *(
                Check("C", name, block_with_white_derivatives, WHITE, "GF(p)", drops=name)
                for name in ("1[delta = delta'] for 1[t = t'], as printed", "one indicator, as printed")
            ),
        ),
        latex=r"\mathbb E[\mathcal Ds_{i,t}\mathcal Ds_{i',t'}]=\mathbb 1_{i=i'}\mathbb 1_{t=t'}",
    ),
    erratum_statement(
        "E18",
        "expanded activations, transposed weights",
        Erratum("GM (78)", "phi([A][W]_H)", "phi([[A]]_H [W]_H^T)", "perhaps a fault of the text extraction; " + TYPES),
        (Check("X", "refused as printed", affine_map_of_a_patch, MAPS, "GF(p)"),),
        (Mutant("the corrected form put in its place", affine_map_of_a_patch, MAPS[-1]),),
        r"[\mathbf A_\ell]_H=\phi\bigl([\![\mathbf A_{\ell-1}]\!]_H[\bar{\mathbf W}_\ell]_H^\top\bigr)",
        ("maps.AffineMaps", "spaces.PowerSpace"),
    ),
    erratum_statement(
        "E21",
        "the iterate on the right",
        Erratum("GM (100)", "[W]^(k+1) on the right", "[W]^(k)", TYPES),
        corrected_and_printed(equivalent_updates, LAYER, PRINTED_E21),
        latex=r"[\bar{\mathbf W}]^{(k+1)}\leftarrow[\bar{\mathbf W}]^{(k)}-\alpha\mathbf P(\nabla h)\mathbf R",
    ),
)
