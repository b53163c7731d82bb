"""Recurrent networks: against PyTorch; lengths; sums over steps; the same in every basis; refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac import errors
from geomkfac.arrays import GF
from geomkfac.errors import DegenerateMetricError
from geomkfac.metrics import GenericFamily
from geomkfac.networks.passes.recurrent_pass import RecurrentPass
from geomkfac.testing import recurrent_networks

FIELD = GF(2147483629)
N, T, n, h, m = 6, 5, 2, 4, 3
LENGTHS = [5, 3, 1, 2, 5, 4]


def arrays(*, learned):
    rng = np.random.default_rng(0)
    Ws = [rng.standard_normal((h, h)) / 2, rng.standard_normal((h, n)), rng.standard_normal((m, h))]
    return Ws, [rng.standard_normal(k) / 2 for k in ((h, h, m, h) if learned else (h, h, m))]


@pytest.mark.parametrize("at", ["every", "last"])
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_values_losses_and_gradients_are_pytorchs(at, learned, lengths):
    torch = pytest.importorskip("torch")
    Ws, bs = arrays(learned=learned)
    net, weights, iota = gk.RecurrentNetwork.from_arrays(Ws, bs, T, at=at)
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((N, T, n)), rng.integers(0, m, (N, T) if at == "every" else N)
    parameters = [torch.tensor(array, requires_grad=True) for array in (*Ws, *bs)]
    W, V, U, b, c, d = parameters[:6]
    state = parameters[6].expand(N, h) if learned else torch.zeros(N, h, dtype=torch.double)
    outputs = []
    for t in range(T):
        state = torch.tanh(state @ W.T + b + torch.tensor(X[:, t]) @ V.T + c)
        outputs.append(state @ U.T + d)
    counts = lengths or [T] * N
    total = (
        sum(
            torch.nn.functional.cross_entropy(outputs[t][i], torch.tensor(y[i, t] if at == "every" else y[i]))
            for i in range(N)
            for t in (range(counts[i]) if at == "every" else [counts[i] - 1])
        )
        / N
    )
    total.backward()
    total = total.detach()
    data, loss = iota.sample(X, y, lengths=lengths), gk.Categorical().on(iota)
    # Sums of T steps through at most T layers of 5 products.
    rounding = 200 * np.finfo(float).eps
    assert abs(float(net.loss(weights, data, loss)) - float(total)) <= rounding * float(total)
    dh = net.differential(weights, data, loss).coordinates(iota)
    gradients = [parameters[:3], parameters[3:]]
    for index, part in enumerate(dh):
        bias = gradients[1][index].grad.numpy()
        assert np.abs(part[:, -1] - bias).max() <= rounding * (1 + np.abs(bias).max())
        if index < 3:
            matrix = gradients[0][index].grad.numpy()
            assert np.abs(part[:, :-1] - matrix).max() <= rounding * (1 + np.abs(matrix).max())
    found = net(weights, net.inputs.from_coordinates(X, iota)).coordinates(iota)
    expected = torch.stack(outputs, 1).detach().numpy()
    assert np.abs(found - (expected if at == "every" else expected[:, -1])).max() <= rounding * np.abs(expected).max()


def test_what_stands_after_the_end_is_never_read():
    Ws, bs = arrays(learned=True)
    rng = np.random.default_rng(1)
    X = rng.standard_normal((N, T, n))
    other = X.copy()
    for i, length in enumerate(LENGTHS):
        other[i, length:] = 1e6
    for at in ("every", "last"):
        net, weights, iota = gk.RecurrentNetwork.from_arrays(Ws, bs, T, at=at)
        y = rng.integers(0, m, (N, T) if at == "every" else N)
        loss = gk.Categorical().on(iota)
        one, two = (iota.sample(rows, y, lengths=LENGTHS) for rows in (X, other))
        for fisher in ("exact", "sampled", "empirical"):
            first, second = (
                net.kfac_metric(weights, data, loss, fisher=fisher).coordinates(iota) for data in (one, two)
            )
            for a, b in zip(first.blocks, second.blocks, strict=True):
                assert all(np.array_equal(f, g) for f, g in zip(a.factors, b.factors, strict=True))
        assert float(net.loss(weights, one, loss)) == float(net.loss(weights, two, loss))


def test_padding_makes_what_the_lengths_say():
    rng = np.random.default_rng(0)
    rows = [rng.standard_normal((k, n)) for k in (2, 4, 1)]
    X, lengths = gk.pad_sequences(rows)
    assert X.shape == (3, 4, n)
    assert lengths == (2, 4, 1)
    assert all(np.array_equal(X[i, : len(row)], row) for i, row in enumerate(rows))
    assert not X[0, 2:].any()
    assert gk.pad_sequences(rows, 6)[0].shape == (3, 6, n)
    for error, text, arguments in (
        (errors.ValuesError, "no sequence", ([],)),
        (errors.ValuesError, "sequence 1 is empty", ([np.ones((1, 2)), np.ones((0, 2))],)),
        (errors.ShapeError, "one width", ([np.ones((1, 2)), np.ones((1, 3))],)),
        (errors.ShapeError, "does not fit into 1 steps", (rows, 1)),
    ):
        with pytest.raises(error, match=text):
            gk.pad_sequences(*arguments)


@settings(suppress_health_check=list(HealthCheck))
@given(drawn=recurrent_networks(FIELD), seed=st.integers(0, 99), data=st.data())
def test_metric_differential_and_step_are_the_same_in_every_basis(drawn, seed, data):
    net, weights, iota = drawn
    rng, ns = np.random.default_rng(seed), FIELD.default_namespace
    kappa, loss = iota.random(rng), GenericFamily(iota[net.outputs], rng, 2)
    lengths = data.draw(st.lists(st.integers(1, net.steps), min_size=4, max_size=4))
    sample = iota.sample(ns.random(rng, (4, *net.inputs.slots)), lengths=lengths)
    there = weights.expressed_in(kappa), sample.expressed_in(kappa)
    for sharing in ("expand", "reduce"):
        assert net.kfac_metric(weights, sample, loss, sharing=sharing) == net.kfac_metric(*there, loss, sharing=sharing)
    dh = net.differential(weights, sample, loss)
    assert dh == net.differential(*there, loss)
    try:
        step = net.kfac_metric(weights, sample, loss).sharp(dh)
    except DegenerateMetricError:
        return
    assert step == net.kfac_metric(*there, loss).sharp(dh)


@settings(suppress_health_check=list(HealthCheck))
@given(drawn=recurrent_networks(FIELD), seed=st.integers(0, 99), data=st.data())
def test_forms_pulled_back_are_covectors_pulled_back(drawn, seed, data):
    net, weights, iota = drawn
    rng, ns = np.random.default_rng(seed), FIELD.default_namespace
    loss = GenericFamily(iota[net.outputs], rng, 2)
    lengths = data.draw(st.lists(st.integers(1, net.steps), min_size=3, max_size=3))
    sample = iota.sample(ns.random(rng, (3, *net.inputs.slots)), weights=ns.random(rng, (3,)), lengths=lengths)
    stored = weights.expressed_in(iota.random(rng))
    by_forms = net.kfac_metric(stored, sample, loss)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RecurrentPass, "summed_forms", lambda *arguments: None)
        assert by_forms == net.kfac_metric(stored, sample, loss)


def test_a_recurrence_of_one_step_is_a_multilayer_perceptron():
    """Over one step, with the initial state at zeros: z = b + V x + c."""
    Ws, bs = arrays(learned=False)
    net, weights, iota = gk.RecurrentNetwork.from_arrays(Ws, bs, 1, at="last")
    mlp, own, frames = gk.MLP.from_arrays([Ws[1], Ws[2]], [bs[0] + bs[1], bs[2]])
    X, y = np.random.default_rng(1).standard_normal((9, 1, n)), np.arange(9) % m
    one = net.kfac_metric(weights, iota.sample(X, y), gk.Categorical().on(iota)).coordinates(iota).blocks
    two = mlp.kfac_metric(own, frames.sample(X[:, 0], y), gk.Categorical().on(frames)).coordinates(frames).blocks
    for ours, theirs in ((one[1], two[0]), (one[2], two[1])):
        for a, b in zip(ours.factors, theirs.factors, strict=True):
            assert np.abs(a - b).max() <= 100 * np.finfo(float).eps * np.abs(b).max()


def test_the_same_weights_run_over_sequences_of_any_length():
    Ws, bs = arrays(learned=True)
    net, weights, iota = gk.RecurrentNetwork.from_arrays(Ws, bs, T)
    shorter = net.over(2)
    assert shorter.weight_space is net.weight_space
    X = np.random.default_rng(1).standard_normal((N, T, n))
    whole = net(weights, net.inputs.from_coordinates(X, iota)).coordinates(iota)
    part = shorter(weights, shorter.inputs.from_coordinates(X[:, :2], iota)).coordinates(iota)
    assert np.array_equal(whole[:, :2], part)


@pytest.mark.parametrize(
    ("error", "text", "make"),
    [
        (errors.ValuesError, "steps of a sequence must be", lambda: gk.RecurrentNetwork.from_widths(1, 2, 1, 0)),
        (
            errors.UnknownNameError,
            "'every', 'last'",
            lambda: gk.RecurrentNetwork.from_widths(1, 2, 1, 2, at="first"),
        ),
        (
            errors.UnknownNameError,
            "'zeros', 'learned' or an array",
            lambda: gk.RecurrentNetwork.from_widths(1, 2, 1, 2, initial="one"),
        ),
        (errors.ShapeError, "must have shape", lambda: gk.RecurrentNetwork.from_widths(1, 2, 1, 2, initial=np.ones(3))),
        (
            errors.ShapeError,
            "do not fit together",
            lambda: gk.RecurrentNetwork.from_arrays([np.ones((2, 3))] * 3, [np.ones(2)] * 3, 2),
        ),
        (
            errors.ShapeError,
            "came: 1 weights",
            lambda: gk.RecurrentNetwork.from_arrays([np.ones((2, 2))], [np.ones(2)], 2),
        ),
    ],
)
def test_networks_that_make_no_sense_are_refused(error, text, make):
    with pytest.raises(error, match=text):
        make()


def test_data_that_make_no_sense_are_refused():
    net, iota = gk.RecurrentNetwork.from_widths(n, h, m, T)
    weights = net.random_weights(np.random.default_rng(0), iota)
    X = np.zeros((N, T, n))
    for error, text, call in (
        (errors.ShapeError, "must have shape", lambda: iota.sample(np.zeros((N, 0, n)))),
        (errors.ShapeError, "sequences come as one array", lambda: iota.sample([np.zeros((2, n)), np.zeros((3, n))])),
        (errors.ShapeError, "one length for every sequence", lambda: iota.sample(X, lengths=[1])),
        (errors.ValuesError, "length of sequence 2", lambda: iota.sample(X, lengths=[1, 1, 0, 1, 1, 1])),
        (errors.ValuesError, "length of sequence 0", lambda: iota.sample(X, lengths=[6, 1, 1, 1, 1, 1])),
        (errors.ValuesError, "length of sequence 1", lambda: iota.sample(X, lengths=[1, 1.0, 1, 1, 1, 1])),
        (
            errors.ShapeError,
            "needs a target for each",
            lambda: net.loss(weights, iota.sample(X, np.zeros(N, dtype=int)), gk.Categorical().on(iota)),
        ),
    ):
        with pytest.raises(error, match=text):
            call()
    mlp, frames = gk.MLP.from_widths([2, 2])
    assert mlp.output_places == ()
    with pytest.raises(errors.ShapeError, match="lengths are for sequences"):
        frames.sample(np.zeros((3, 2)), lengths=[1, 1, 1])
