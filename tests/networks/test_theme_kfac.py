"""The K-FAC metric: from its parts, from arrays, from streams, in other coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac import maps
from geomkfac.arrays import GF, rational

FIELD = GF(1_073_741_827)
EPSILON = 2.0**-52
WIDTHS = st.lists(st.integers(1, 4), min_size=2, max_size=4)


def generic_network(widths: list[int], seed: int, kind: Any = FIELD) -> tuple[Any, Any, Any, Any]:
    """A network with generic activations, random weights, and a generic output model, over GF(p)."""
    rng = np.random.default_rng(seed)
    spaces = [gk.AffineSpace("A0", widths[0], kind)]
    frames = [spaces[0].frame("iota")]
    rhos = []
    for width in widths[1:-1]:
        source = gk.AffineSpace("Z", width, kind).frame("iota")
        target = gk.AffineSpace("A", width, kind).frame("iota")
        rhos.append(gk.GenericMap(source, target, rng))
        frames += [source, target]
    outputs = gk.AffineSpace("Z", widths[-1], kind)
    frames.append(outputs.frame("iota"))
    iota = gk.Parameterization(frames, inputs=spaces[0], outputs=outputs)
    net = gk.MLP(spaces[0], rhos, outputs)
    return net, net.random_weights(rng, iota), iota, gk.GenericFamily(frames[-1], rng, 2)


def sample_of(iota: Any, net: Any, count: int, seed: int, **kwargs: Any) -> Any:
    ns = net.inputs.kind.default_namespace
    return iota.sample(ns.random(np.random.default_rng(seed), (count, net.inputs.dim)), **kwargs)


def from_parts(net: Any, weights: Any, points: Any, metric: Any) -> Any:
    """LG D3.9 read literally: the maps behind each layer composed, their pullbacks, their independence metrics."""
    omegas = [gk.AffineMap(omega) for omega in net.weight_space.split(weights)]
    alpha, layers = points, []
    for index, omega in enumerate(omegas):
        behind: Any = None
        for step in range(index, len(net.activations)):
            onwards = omegas[step + 1] @ net.activations[step]
            behind = onwards if behind is None else onwards @ behind
        layers.append(gk.IndependenceMetric(alpha, metric if behind is None else gk.PullbackMetric(behind, metric)))
        if index < len(net.activations):
            alpha = net.activations[index](omega(alpha))
    return gk.AdditiveMetric(*layers).at(weights)


@given(widths=WIDTHS, count=st.integers(1, 5), seed=st.integers(0, 10**6))
def test_it_is_the_additive_metric_of_the_layers_independence_metrics(
    widths: list[int], count: int, seed: int
) -> None:
    net, weights, iota, model = generic_network(widths, seed)
    data = sample_of(iota, net, count, seed)
    points = next(iter(data.chunks())).points
    assert net.kfac_metric(weights, data, model) == from_parts(net, weights, points, model.metric)


def test_it_is_so_in_floating_point_too() -> None:
    net, weights, iota, X, y = small_classifier()
    data, loss = iota.sample(X, y), gk.Categorical().on(iota)
    points = net.inputs.from_coordinates(X, iota)
    one, other = net.kfac_metric(weights, data, loss), from_parts(net, weights, points, loss.metric)
    assert_same_factors(one, other, iota, len(X))


def small_classifier(count: int = 23, dtype: Any = np.float64) -> tuple[Any, Any, Any, Any, Any]:
    rng = np.random.default_rng(5)
    Ws = [rng.standard_normal(shape).astype(dtype) / 2 for shape in ((4, 3), (4, 4), (3, 4))]
    bs = [rng.standard_normal(len(W)).astype(dtype) for W in Ws]
    net, weights, iota = gk.MLP.from_arrays(Ws, bs, activation="tanh")
    return net, weights, iota, rng.standard_normal((count, 3)).astype(dtype), rng.integers(0, 3, count)


def factors(g: Any, frame: Any) -> list[Any]:
    return [factor for block in g.coordinates(frame).blocks for factor in block.factors]


def assert_same_factors(one: Any, other: Any, frame: Any, terms: int) -> None:
    """Sums of `terms` products, taken in another order: both are off by at most terms * epsilon of the squares.

    A backward pass through three layers of width 4 adds 3 * 4 roundings to every term.
    """
    for x, y in zip(factors(one, frame), factors(other, frame), strict=True):
        bound = 2 * (terms + 12) * np.finfo(x.dtype).eps * np.sqrt(np.outer(np.diag(y), np.diag(y))).max()
        assert np.abs(x - y).max() <= bound


def test_the_factors_are_the_means_that_everyone_knows() -> None:
    net, weights, iota, X, y = small_classifier()
    g = net.kfac_metric(weights, iota.sample(X, y), gk.Categorical().on(iota))
    (W1, b1), (W2, b2), (W3, b3) = net.to_arrays(weights, iota)
    a1 = np.tanh(X @ W1.T + b1)
    a2 = np.tanh(a1 @ W2.T + b2)
    z = a2 @ W3.T + b3
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    G = [np.diag(row) - np.outer(row, row) for row in p]
    J2 = [W3 * (1 - a * a) for a in a2]
    J1 = [j @ W2 * (1 - a * a) for j, a in zip(J2, a1, strict=True)]
    expected = []
    for a, jacobians in ((X, J1), (a1, J2), (a2, [np.eye(3)] * len(X))):
        bar = np.column_stack([a, np.ones(len(a))])
        expected += [
            bar.T @ bar / len(a),
            np.mean([j.T @ block @ j for j, block in zip(jacobians, G, strict=True)], axis=0),
        ]
    for found, wanted in zip(factors(g, iota), expected, strict=True):
        assert np.abs(found - wanted).max() <= 2 * (len(X) + 24) * EPSILON * max(1.0, np.abs(wanted).max())
    assert all(block.factors[0][-1, -1] == 1 for block in g.coordinates(iota).blocks)


@pytest.mark.parametrize("kind", [FIELD, rational], ids=repr)
def test_the_chunk_size_does_not_matter_exactly(kind: Any) -> None:
    net, iota = gk.MLP.from_widths([2, 3, 2], maps.polynomial(0, 1, 1), kind=kind)
    weights = net.random_weights(np.random.default_rng(0), iota)
    ns = kind.default_namespace
    y = ns.random(np.random.default_rng(1), (7, 2))
    data, loss = sample_of(iota, net, 7, 2, y=y), gk.Gaussian().on(iota)
    whole, gradient = net.kfac_metric(weights, data, loss), net.differential(weights, data, loss)
    for size in (1, 2, 3, 7, 100):
        assert net.kfac_metric(weights, data, loss, chunk_size=size) == whole
        assert net.kfac_metric(weights, data, loss, fisher="empirical", chunk_size=size) == net.kfac_metric(
            weights, data, loss, fisher="empirical"
        )
        assert net.differential(weights, data, loss, chunk_size=size) == gradient


@pytest.mark.parametrize("fisher", ["exact", "sampled", "empirical"])
@pytest.mark.parametrize("size", [1, 4, 22])
def test_chunks_streams_and_memory_agree_to_the_order_of_the_sums(fisher: str, size: int) -> None:
    net, weights, iota, X, y = small_classifier()
    loss = gk.Categorical().on(iota)
    streamed = iota.sample(lambda: ((X[i : i + 5], y[i : i + 5]) for i in range(0, len(X), 5)))
    kwargs: dict[str, Any] = {"fisher": fisher, "samples": 3, "seed": 7}
    whole = net.kfac_metric(weights, iota.sample(X, y), loss, **kwargs)
    terms = 3 * len(X)
    for data in (iota.sample(X, y), streamed):
        assert_same_factors(net.kfac_metric(weights, data, loss, chunk_size=size, **kwargs), whole, iota, terms)
    other = net.kfac_metric(weights, iota.sample(X, y), loss, fisher=fisher, samples=3, seed=8)
    assert (factors(other, iota)[1] != factors(whole, iota)[1]).any() == (fisher == "sampled")


def test_doubling_a_weight_is_repeating_a_datum() -> None:
    net, iota = gk.MLP.from_widths([2, 3, 2], maps.polynomial(0, 1, 1), kind=FIELD)
    rng, ns = np.random.default_rng(0), FIELD.default_namespace
    weights, loss = net.random_weights(rng, iota), gk.Gaussian().on(iota)
    X, y = ns.random(rng, (4, 2)), ns.random(rng, (4, 2))
    weighted = iota.sample(X, y, weights=ns.asarray([1, 2, 1, 3]))
    order = [0, 1, 1, 2, 3, 3, 3]
    repeated = iota.sample(ns.take(X, order, 0), ns.take(y, order, 0))
    for size in (None, 2):
        assert net.kfac_metric(weights, weighted, loss, chunk_size=size) == net.kfac_metric(weights, repeated, loss)
        assert net.differential(weights, weighted, loss, chunk_size=size) == net.differential(weights, repeated, loss)
    assert net.fisher_metric(weights, weighted, loss) == net.fisher_metric(weights, repeated, loss)
    floats, fw, fi, X, y = small_classifier(6)
    order = [0, 1, 1, 2, 3, 4, 5]
    both = fi.sample(X, y, weights=np.array([1.0, 2, 1, 1, 1, 1])), fi.sample(X[order], y[order])
    losses = [floats.loss(fw, data, gk.Categorical().on(fi)) for data in both]
    assert abs(losses[0] - losses[1]) <= 16 * EPSILON * losses[1]


def test_moments_of_two_halves_merge_into_the_whole_wherever_they_were_made() -> None:
    net, iota = gk.MLP.from_widths([2, 3, 2], maps.polynomial(0, 1, 1), kind=FIELD)
    rng, ns = np.random.default_rng(0), FIELD.default_namespace
    weights, loss, kappa = net.random_weights(rng, iota), gk.Gaussian().on(iota), iota.random(rng)
    X = ns.random(rng, (5, 2))
    whole = net.kfac_metric(weights, iota.sample(X), loss)
    first = net.moments(weights, iota.sample(X[:2, :]), loss)
    for stored in (weights, weights.expressed_in(kappa)):
        second = net.moments(stored, iota.sample(X[2:, :]), loss)
        assert (first + second).metric() == (second + first).metric() == whole
        assert first.metric() != whole


def test_merging_keeps_a_known_radical_only_if_both_parts_have_it() -> None:
    net, weights, iota, X, y = small_classifier()
    data = iota.sample(X, y)
    softmax = net.moments(weights, data, gk.Categorical().on(iota))
    euclidean = net.moments(weights, data, gk.Gaussian().on(iota))
    assert (softmax + softmax).metric().parts[-1].codomain_form.nullity == 1
    for total in (softmax + euclidean, euclidean + softmax):
        assert total.metric().parts[-1].codomain_form.nullity == 0


def test_sampled_targets_average_to_the_exact_metric() -> None:
    rng = np.random.default_rng(0)
    net, weights, iota = gk.MLP.from_arrays([rng.standard_normal((3, 2))], [rng.standard_normal(3)])
    X, samples = rng.standard_normal((10, 2)), 4000
    data, loss = iota.sample(X), gk.Categorical().on(iota)
    exact = factors(net.kfac_metric(weights, data, loss), iota)[1]
    sampled = factors(net.kfac_metric(weights, data, loss, fisher="sampled", samples=samples), iota)[1]
    # Entries are means of independent numbers in [-1, 1]: Hoeffding, off by more with probability 9 * 2e-9.
    assert np.abs(sampled - exact).max() <= np.sqrt(2 * 20.7 / (samples * len(X)))


def test_the_empirical_fisher_is_of_the_gradients_at_the_targets() -> None:
    net, weights, iota, X, y = small_classifier()
    loss, data = gk.Categorical().on(iota), iota.sample(X, y)
    F = net.fisher_metric(weights, data, loss, fisher="empirical").coordinates(iota)
    rows = []
    for index in range(len(X)):
        one = net.differential(weights, iota.sample(X[index : index + 1], y[index : index + 1]), loss)
        rows.append(np.concatenate([part.T.ravel() for part in one.coordinates(iota)]))
    expected = np.asarray(rows).T @ np.asarray(rows) / len(X)
    assert np.abs(F - expected).max() <= 2 * (len(X) + 24) * EPSILON * np.diag(expected).max()


def test_centred_and_whitened_coordinates_do_what_they_say() -> None:
    net, weights, iota, X, y = small_classifier(60)
    g = net.kfac_metric(weights, iota.sample(X, y), gk.Categorical().on(iota))
    centred, whitened = iota.centered(g), iota.whitened(g, norm=iota.euclidean)
    for position, block in enumerate(g.coordinates(centred).blocks):
        A = block.factors[0]
        assert np.abs(A[-1, :-1]).max() <= 64 * EPSILON * np.abs(A).max(), position
    condition = max(np.linalg.cond(A) for A in factors(g, iota)[::2])
    for position, block in enumerate(g.coordinates(whitened).blocks):
        A, G = block.factors
        assert np.abs(A - np.eye(len(A))).max() <= 64 * EPSILON * condition
        null = 1 if position == 2 else 0
        values = np.linalg.eigvalsh(G)
        spread = np.linalg.eigvalsh(factors(g, iota)[2 * position + 1])
        assert np.abs(values[null:] - 1).max() <= 64 * EPSILON * spread[-1] / spread[null]
        assert np.abs(values[:null]).max(initial=0.0) <= 64 * EPSILON * spread[-1] / spread[null]


def test_the_same_step_wherever_weights_and_data_are_stored() -> None:
    net, weights, iota, model = generic_network([3, 4, 2], 1)
    ns = FIELD.default_namespace
    data = sample_of(iota, net, 12, 3)
    g, dh = net.kfac_metric(weights, data, model), net.differential(weights, data, model)
    for seed in range(3):
        kappa = iota.random(np.random.default_rng(seed))
        there, moved = weights.expressed_in(kappa), data.expressed_in(kappa)
        other = net.kfac_metric(there, moved, model)
        assert other == g
        assert other.sharp(net.differential(there, moved, model)) == g.sharp(dh)
        assert not ns.equal(factors(g, iota)[0], factors(other, kappa)[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept_everywhere(dtype: Any) -> None:
    net, weights, iota, X, y = small_classifier(dtype=dtype)
    loss, data = gk.Categorical().on(iota), iota.sample(X, y)
    g, dh = net.kfac_metric(weights, data, loss), net.differential(weights, data, loss)
    step = g.minimal_solution(dh, norm=iota.euclidean)
    kappa = iota.whitened(g, norm=iota.euclidean)
    sampled = net.kfac_metric(weights, data, loss, fisher="sampled", samples=2)
    damped = g.damped(iota.euclidean, 0.1, "factored").sharp(dh)
    exactly = g.damped(iota.euclidean, 0.1).sharp(dh)
    arrays = [
        net.loss(weights, data, loss), net.predictions(weights, net.inputs.from_coordinates(X, iota), loss),
        *dh.coordinates(kappa), *step.coordinates(iota), *damped.coordinates(kappa), *exactly.coordinates(iota),
        *factors(g, kappa), *factors(sampled, iota), net.fisher_metric(weights, data, loss).coordinates(iota),
        *(array for pair in net.to_arrays(weights - 0.1 * step, kappa) for array in pair),
    ]  # fmt: skip
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
