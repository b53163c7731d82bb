"""Data in any unit and about any origin: ranks, whitened matrices and steps are the same from every basis, or refused.

What rounding may do is not guessed: it is what roundings of the numbers that are stored in a basis do.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import mpmath
import numpy as np
import pytest

import geomkfac as gk
from geomkfac.arrays import namespace_of
from geomkfac.errors import ConditioningError, SingularMatrixError
from geomkfac.spaces.frames.change import map_components

COUNT = 600
BASES = ("given", "centered", "whitened", "random")


@final
@dataclass(frozen=True)
class Case:
    """Data, and in which bases they are refused.

    Attributes
    ----------
    center, spread : of the coordinates of the inputs; a spread of 0 for a constant
    refused : bases in which data, their second moments or what a layer makes of them would be lost
    """

    dtype: str
    center: tuple[float, ...]
    spread: tuple[float, ...]
    refused: tuple[str, ...] = ()

    def data(self) -> Any:
        rng = np.random.default_rng(3)
        rows = rng.standard_normal((COUNT, len(self.center)))
        # Flat, as times of a day and years are.
        rows[:, 0] = rng.uniform(-(3**0.5), 3**0.5, COUNT)
        return (np.array(self.center) + rows * np.array(self.spread)).astype(self.dtype)


CASES = {
    "timestamps beside N(0, 1)": Case("float64", (1.7e9 + 43200, 0), (24941, 1)),
    "two columns of timestamps": Case("float64", (1.7e9, 1.7e9 + 500, 0), (24941, 3e5, 1)),
    "years beside N(0, 1)": Case("float32", (2007, 0), (10, 1), refused=("random",)),
    "a constant beside years": Case("float32", (2007, 0, 7.3), (10, 1, 0), refused=("random",)),
    "far from 0 for their spread": Case("float32", (1e5, 0), (1e4, 1), refused=("random",)),
    "shifted by 1e6": Case("float64", (1e6, 1e6), (1, 1)),
    "shifted by 1e7": Case("float64", (1e7, 1e7), (1, 1)),
    "shifted by 1e8": Case("float64", (1e8, 1e8), (1, 1)),
    "shifted by 1e10": Case("float64", (1e10, 1e10), (1, 1)),
    "in units of 1e-6": Case("float64", (0, 0), (1e-6, 1e-6)),
    "units 1 to 1e10": Case("float64", (0, 0), (1, 1e10), refused=("random",)),
    "units 1 to 1e15": Case("float64", (0, 0), (1, 1e15), refused=("random",)),
    "units 1 to 1e-15": Case("float64", (0, 0), (1, 1e-15), refused=("random",)),
    "units 1 to 1e6": Case("float32", (0, 0), (1, 1e6), refused=("random",)),
    "units of 1e30": Case("float32", (0, 0), (1e30, 1e30)),
    "units of 1e160": Case("float64", (1e160, 0), (1e160, 1e160)),
    "a constant, and timestamps": Case("float64", (1.7e9, 3, 0), (24941, 0, 1)),
}


def problem(case: Case) -> Any:
    X, rng = case.data(), np.random.default_rng(4)
    scales = np.where(np.array(case.spread) > 0, case.spread, 1.0)
    W = rng.standard_normal((3, X.shape[1])) / scales
    b = -(W @ np.array(case.center))
    # In the arrays' own precision the bias cancels the mean as well as it can.
    Ws = [W.astype(case.dtype), rng.standard_normal((3, 3)).astype(case.dtype)]
    bs = [b.astype(case.dtype), np.zeros(3, case.dtype)]
    net, weights, iota = gk.MLP.from_arrays(Ws, bs, activation="tanh")
    return net, weights, iota, iota.sample(X, rng.integers(0, 3, COUNT)), gk.Categorical().on(iota)


def scaled_condition(form: Any) -> float:
    """Of a form in its own frame, scaled to unit diagonal, its null directions left out."""
    matrix = np.asarray(form.coordinates(form.storage_frame), float)
    lengths = np.sqrt(np.where(np.diag(matrix) > 0, np.diag(matrix), 1.0))
    values = np.linalg.eigvalsh(matrix / lengths[:, None] / lengths)
    return float(values[-1] / values[form.nullity])


def step_of(net: Any, weights: Any, data: Any, loss: Any, norm: Any) -> tuple[list[tuple[int, int]], float, float]:
    """Ranks, the length of the step, and the loss after a tenth of it."""
    g = net.kfac_metric(weights, data, loss)
    dh = net.differential(weights, data, loss)
    step = g.minimal_solution(dh, norm=norm)
    ranks = [(h.rank, k.rank) for h, k in g.kronecker_factors()]
    return ranks, float(dh(step)) ** 0.5, float(net.loss(weights - 0.1 * step, data, loss))


def shaken(element: Any, seed: int) -> Any:
    """The same element or sample, every number that it is stored as moved by one rounding."""
    rng = np.random.default_rng(seed)

    def moved(x: Any) -> Any:
        return x * (1 + rng.choice([-1, 1], x.shape).astype(x.dtype) * np.finfo(x.dtype).eps)

    if isinstance(element, gk.Sample):
        (chunk,) = element.chunks()
        points = chunk.points.with_components(map_components(moved, chunk.points._components))
        frame = points.storage_frame
        return gk.Sample.from_coordinates(points.coordinates(frame), chunk.targets, frame)
    return element.with_components(map_components(moved, element._components))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_ranks_and_steps_are_the_same_from_every_basis_or_refused(case: Case) -> None:
    """What a stable algorithm finds is right of numbers within a few roundings of those that it was given.

    So results may differ by what a few roundings of what is stored in a basis change in them, and by those of solving
    with two factors.
    """
    net, weights, iota, data, loss = problem(case)
    g, norm = net.kfac_metric(weights, data, loss), iota.euclidean
    frames = {
        "given": iota, "centered": iota.centered(g), "whitened": iota.whitened(g, norm=norm),
        "random": iota.random(np.random.default_rng(1)),
    }  # fmt: skip
    condition = max(scaled_condition(h) * scaled_condition(k) for h, k in g.kronecker_factors())
    solving = 16 * sum(layer.domain.dim + layer.codomain.dim for layer in net.layers) * condition
    found, refused, allowed = {}, [], np.full(2, solving * float(np.finfo(case.dtype).eps))
    for name in BASES:
        try:
            there, moved = weights.expressed_in(frames[name]), data.expressed_in(frames[name])
            ranks, *found[name] = step_of(net, there, moved, loss, norm)
        except ConditioningError:
            refused.append(name)
            continue
        assert ranks == [(1 + sum(s > 0 for s in case.spread), 3), (4, 2)]
        for seed in range(3):
            _, *others = step_of(net, shaken(there, seed), shaken(moved, seed), loss, norm)
            allowed = np.maximum(allowed, 16 * np.abs(np.subtract(others, found[name])))
    assert refused == list(case.refused)
    assert np.max(allowed) <= (1e-2 if case.dtype == "float64" else 0.3)
    for name, others in found.items():
        assert (np.abs(np.subtract(others, found["given"])) <= allowed * np.maximum(1, found["given"])).all(), name


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("root", ["symmetric", "cholesky"])
def test_whitened_matrices_are_0_and_1(case: Case, root: Any) -> None:
    """To rounding of sums of n products, magnified by the condition of the factor about the data, in their units."""
    if root == "cholesky" and 0 in case.spread:
        pytest.skip("a degenerate factor has a symmetric root alone")
    net, weights, iota, data, _ = problem(case)
    g = net.kfac_metric(weights, data, gk.Gaussian().on(iota))
    kappa = iota.whitened(g, norm=iota.euclidean, root=root)
    for pair in g.kronecker_factors():
        for form in pair:
            values = np.linalg.eigvalsh(np.asarray(form.coordinates(kappa[form.space]), float))
            wanted = np.repeat([0.0, 1.0], [form.nullity, form.rank])
            epsilon = float(np.finfo(case.dtype).eps)
            assert np.abs(values - wanted).max() <= 64 * form.space.dim * epsilon * scaled_condition(form)


def test_what_cannot_be_known_is_refused_with_where_and_what_to_do() -> None:
    net, weights, iota, data, loss = problem(CASES["units 1 to 1e10"])
    kappa = iota.random(np.random.default_rng(1))
    there, moved = weights.expressed_in(kappa), data.expressed_in(kappa)
    g, dh = net.kfac_metric(there, moved, loss), net.differential(there, moved, loss)
    with pytest.raises(ConditioningError, match=r"coordinate 0 of the data has standard deviation(?s:.*)damp"):
        g.minimal_solution(dh, norm=iota.euclidean)
    # Damped it needs no rank; the squares of the largest coordinates are 1e20.
    step = g.damped(iota.euclidean, 1e6).sharp(dh)
    assert np.isfinite(float(g(step, step)))

    net, weights, iota, data, loss = problem(CASES["units 1 to 1e15"])
    with pytest.raises(ConditioningError, match=r"(?s)coordinate 0, of mean .* comes back moved by .*iota\.centered"):
        net.loss(weights, data.expressed_in(iota.random(np.random.default_rng(1))), loss)

    case = Case("float32", (1.7e9, 0), (2e4, 1))
    net, weights, iota, data, loss = problem(case)
    with pytest.raises(ConditioningError, match=r"(?s)inputs of layer 2.*coordinate \d known to .*iota\.centered"):
        net.kfac_metric(weights, data, loss)

    rng = np.random.default_rng(4)
    Ws = [rng.standard_normal((3, 2)), rng.standard_normal((3, 3))]
    net, weights, iota = gk.MLP.from_arrays(Ws, [np.zeros(3)] * 2)
    data = iota.sample(1e-200 * rng.standard_normal((COUNT, 2)), rng.integers(0, 3, COUNT))
    g = net.kfac_metric(weights, data, gk.Categorical().on(iota))
    with pytest.raises(ConditioningError, match=r"(?s)cannot whiten.*AffineSpace.*units of one size"):
        iota.whitened(g, norm=iota.euclidean)


FAR_OFF = [
    ("float64", 1.7e9, 25000), ("float64", 1e6, 1), ("float64", 1e10, 1), ("float32", 280, 10), ("float32", 2007, 10),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["exact", "factored"])
@pytest.mark.parametrize("basis", ["given", "centered"])
@pytest.mark.parametrize("dtype, center, spread", FAR_OFF)
def test_damping_and_eigenvalues_are_right_beside_any_norm(
    dtype: str, center: float, spread: float, basis: str, kind: Any
) -> None:
    """Against 60 digits, of one layer with G the identity: to rounding, times the condition of what is solved with."""
    rng, gamma, epsilon = np.random.default_rng(5), 0.01, float(np.finfo(dtype).eps)
    X = (rng.standard_normal((100, 2)) * [spread, 1] + [center, 0]).astype(dtype)
    y = rng.standard_normal((100, 2)).astype(dtype)
    net, weights, iota = gk.MLP.from_arrays([np.zeros((2, 2), dtype)], [np.zeros(2, dtype)])
    data, output = iota.sample(X, y), gk.Gaussian().on(iota)
    g, dh = net.kfac_metric(weights, data, output), net.differential(weights, data, output)
    inputs: Any = net.layers[0].domain
    named = iota if basis == "given" else iota.centered(g)
    norm, there = named.euclidean, named[inputs]
    _, shift = there.change_from(iota[inputs])
    with mpmath.workdps(60):
        ones = [[*row, 1] for row in (mpmath.matrix(X.tolist()) + mpmath.matrix([shift.tolist()] * 100)).tolist()]
        rows = mpmath.matrix(ones)
        A, D = rows.T * rows / 100, mpmath.matrix((-y).tolist()).T * rows / 100
        pi = mpmath.sqrt(sum(A[i, i] for i in range(3)) / 3)
        added, divided = (gamma, 1) if kind == "exact" else (pi * gamma**0.5, 1 + gamma**0.5 / pi)
        damped = A + added * mpmath.eye(3)
        per_length = mpmath.diag([1 / mpmath.sqrt(damped[i, i]) for i in range(3)])
        values = mpmath.eigsy(per_length * damped * per_length, eigvals_only=True)
        condition = float(max(values) / min(values))
        wanted = float(sum((D * mpmath.inverse(damped) * D.T)[i, i] for i in range(2)) / divided)
        top = float(max(mpmath.eigsy(A, eigvals_only=True)))
    (eigenvalues,) = g.eigenvalues(norm)
    assert abs(float(eigenvalues[-1]) - top) <= 16 * 3 * epsilon * top
    try:
        step = g.damped(norm, gamma, kind).sharp(dh)
    except SingularMatrixError:
        # The damping is lost beside the largest eigenvalue.
        assert kind == "exact" and gamma <= 3 * epsilon * top
        return
    assert abs(float(dh(step)) - wanted) <= 16 * 3 * epsilon * condition * wanted


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_number_of_data_changes_no_rank(dtype: str) -> None:
    """10^6 data, and 10^8 by adding their moments to themselves seven times; coordinates correlated by 0.9."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((10**6, 3), dtype=dtype)
    X[:, 1] = 0.9 * X[:, 0] + 0.19**0.5 * X[:, 1]
    net, iota = gk.MLP.from_widths([3, 2])
    weights = net.random_weights(rng, iota, like=X)
    moments = net.moments(weights, iota.sample(X), gk.Gaussian().on(iota))
    for _ in range(8):
        (h, k), = moments.metric().kronecker_factors()
        assert (h.rank, k.rank) == (4, 2)
        kappa = iota.whitened(moments.metric())
        values = np.linalg.eigvalsh(np.asarray(h.coordinates(kappa[h.space]), float))
        # The condition of the factor is 20.
        assert np.abs(values - 1).max() <= 20 * 16 * float(np.finfo(dtype).eps)
        moments = moments + moments
    assert moments.layers[0].terms[0] == 256 * 10**6


@pytest.mark.parametrize("count", [10**3, 10**4, 10**5, pytest.param(10**6, marks=pytest.mark.slow)])
@pytest.mark.parametrize("chunk_size", [None, 1000])
def test_single_precision_does_not_drift_with_the_number_of_data(count: int, chunk_size: int | None) -> None:
    """Means, moments, losses and differentials of a saturated unit, against float64 from the same weights and data."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((count, 8), dtype=np.float32), rng.integers(0, 3, count)
    Ws = [rng.standard_normal((6, 8), dtype=np.float32), rng.standard_normal((3, 6), dtype=np.float32)]
    bs = [np.array([0, 0, 0, 0, 0, 4], np.float32), np.zeros(3, np.float32)]
    found = []
    for dtype in (np.float32, np.float64):
        net, weights, iota = gk.MLP.from_arrays([W.astype(dtype) for W in Ws], [b.astype(dtype) for b in bs])
        data, output = iota.sample(X.astype(dtype), y), gk.Categorical().on(iota)
        loss, dh = net.loss_and_differential(weights, data, output, chunk_size=chunk_size)
        metric = net.kfac_metric(weights, data, output, chunk_size=chunk_size)
        blocks = [factor for block in metric.coordinates(iota).blocks for factor in block.factors]
        found.append([np.asarray(x, float) for x in (loss, *dh.coordinates(iota), *blocks)])
    ns = namespace_of(X)
    # A pass of sums of 8 products, and blocks of at most `rounding_of_sums`, half an epsilon each.
    bound = ns.rounding_of_sums(count) / 2 + 4 * 8 * ns.epsilon
    for single, double in zip(*found, strict=True):
        assert np.abs(single - double).max() <= bound * max(1.0, np.abs(double).max())


def test_a_reference_is_taken_from_the_first_data_however_they_come() -> None:
    case = CASES["timestamps beside N(0, 1)"]
    net, weights, iota, data, loss = problem(case)
    X, y = case.data(), np.zeros(COUNT, int)
    batches = iota.sample(lambda: iter([(X[i : i + 7], y[i : i + 7]) for i in range(0, COUNT, 7)]))
    frames = {
        net.moments(weights, sample, loss, chunk_size=size).layers[0].frame.parts[0]
        for sample, size in ((data, None), (data, 1), (data, 100), (batches, None), (batches, 3))
    }
    assert len(frames) == 1
    assert net.differential(weights, data, loss).storage_frame.dual.parts[0].parts[0].parts[0] in frames


@pytest.mark.parametrize("chunk_size", [None, 7])
@pytest.mark.parametrize("scale, shift", [(1.0, -1.7e9), (1e30, 0.0)])
def test_data_of_weight_0_do_not_choose_the_reference(scale: float, shift: float, chunk_size: int | None) -> None:
    """More of them than data that are looked at, before the others and among them."""
    case = CASES["timestamps beside N(0, 1)"]
    net, weights, iota, _, loss = problem(case)
    X, y = case.data(), np.random.default_rng(5).integers(0, 3, COUNT)
    ghosts = X * scale + shift
    rows = np.concatenate([ghosts, ghosts, np.stack([X, ghosts], axis=1).reshape(2 * COUNT, 2)])
    labels = np.concatenate([y, y, np.repeat(y, 2)])
    masses = np.concatenate([np.zeros(2 * COUNT), np.tile([1.0, 0.0], COUNT)])
    one, other = (
        step_of(net, weights, sample, loss, iota.euclidean)
        for sample in (iota.sample(X, y), iota.sample(rows, labels, weights=masses))
    )
    assert other[0] == one[0] == [(3, 3), (4, 2)]
    # Of the same numbers, which 1.7e9 leaves known to a rounding of it, as parts of their spread.
    factors = net.kfac_metric(weights, iota.sample(X, y), loss).kronecker_factors()
    condition = max(scaled_condition(h) * scaled_condition(k) for h, k in factors)
    known = float(np.finfo(float).eps) * case.center[0] / case.spread[0]
    assert np.allclose(other[1:], one[1:], rtol=16 * known * condition, atol=0)
    frames = [
        net.moments(weights, sample, loss, chunk_size=chunk_size).layers[0].frame.parts[0]
        for sample in (iota.sample(X, y), iota.sample(rows, labels, weights=masses))
    ]
    assert frames[0] is frames[1]


@pytest.mark.parametrize("dtype, unit", [("float64", 1e-310), ("float32", 1e-40)])
def test_a_column_of_subnormal_numbers_has_a_rank_and_a_damped_step(dtype: str, unit: float) -> None:
    """One over their spread is no number; the step is the one without them, as they move no output."""
    X = CASES["shifted by 1e6"].data() - 1e6
    y = np.random.default_rng(5).integers(0, 3, COUNT)
    found = []
    for scale in (unit, 0.0):
        rows = (X * [scale, 1]).astype(dtype)
        net, weights, iota = gk.MLP.from_arrays([np.eye(3, 2, dtype=dtype)], [np.zeros(3, dtype)])
        data, loss = iota.sample(rows, y), gk.Categorical().on(iota)
        g, dh = net.kfac_metric(weights, data, loss), net.differential(weights, data, loss)
        ((h, _),) = g.kronecker_factors()
        assert h.rank == 2 + (scale > 0)
        found.append(float(dh(g.damped(iota.euclidean, 0.1).sharp(dh))))
    assert abs(found[0] - found[1]) <= 64 * float(np.finfo(dtype).eps) * found[1]


def test_sums_and_multiples_of_forms_know_what_the_forms_know() -> None:
    for case, frame in (("units 1 to 1e15", "given"), ("units 1 to 1e10", "random")):
        net, weights, iota, data, loss = problem(CASES[case])
        kappa = iota if frame == "given" else iota.random(np.random.default_rng(1))
        g = net.kfac_metric(weights.expressed_in(kappa), data.expressed_in(kappa), loss)
        h = g.kronecker_factors()[0][0]
        for form in (h, 2.0 * h, h + h, 0.5 * h + 1.5 * h):
            if frame == "given":
                assert form.rank == 3
                continue
            with pytest.raises(ConditioningError, match="coordinate 0 of the data"):
                _ = form.rank


def test_data_that_are_written_over_choose_another_reference() -> None:
    """What was chosen is kept with the sample for the next pass, as long as the data are the same."""
    net, weights, iota, _, loss = problem(CASES["timestamps beside N(0, 1)"])
    X, y = np.random.default_rng(0).standard_normal((COUNT, 2)), np.zeros(COUNT, int)
    first, data, frames = X.copy(), iota.sample(X, y), []
    for shift in (0.0, 1e9, 1e9, -1e9):
        X[...] = first + shift
        frames.append(net.moments(weights, data, loss).layers[0].frame)
        # Of the differential as of the moments.
        assert net.differential(weights, data, loss).storage_frame.dual.parts[0] is frames[-1].linear, shift
    assert frames[1] is frames[2]
    assert len(set(frames)) == 3


@pytest.mark.parametrize(
    "how", [{}, {"chunk_size": 100}, {"chunk_size": 100, "executor": partial(ThreadPoolExecutor, 2)}],
    ids=["whole", "chunks", "workers"],
)  # fmt: skip
@pytest.mark.parametrize("place", [0, 1700, 2999])
def test_a_datum_that_hides_the_others_is_seen_wherever_it_stands(place: int, how: Any) -> None:
    """One far off, in a basis that mixes its coordinate with others: what these say is lost to second moments there."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 2))
    X[place, 0] = 1e9
    net, iota = gk.MLP.from_widths([2, 3, 3])
    weights, loss = net.random_weights(rng, iota), gk.Categorical().on(iota)
    data, kappa = iota.sample(X, rng.integers(0, 3, 3000)), iota.random(np.random.default_rng(1))
    g = net.kfac_metric(weights, data, loss, **how)
    assert g.parts[0].domain_form.rank == 3
    there = net.kfac_metric(weights.expressed_in(kappa), data.expressed_in(kappa), loss, **how)
    with pytest.raises(ConditioningError, match="coordinate 1 of the data"):
        assert there.parts[0].domain_form.rank
