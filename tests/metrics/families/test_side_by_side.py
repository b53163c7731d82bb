"""Families side by side: the direct sum of their parts, over every kind, with targets in tuples and dicts."""

from __future__ import annotations

from typing import Any

import array_api_strict
import numpy as np
import pytest

import geomkfac as gk
from geomkfac import maps
from geomkfac.arrays import GF, Draws, namespace_of, rational
from geomkfac.errors import KindError, ShapeError, ValuesError

PARTS = (gk.Categorical(), gk.Gaussian(), gk.Poisson())
SIZES = (3, 2, 1)
WHOLE = gk.SideBySide(*PARTS, dimensions=SIZES)
NAMED = gk.SideBySide(digit=gk.Categorical(), angle=gk.Gaussian(), count=gk.Poisson(), dimensions=SIZES)
EPSILON = 2.0**-52


def outputs(count: int = 5) -> Any:
    return np.random.default_rng(0).normal(size=(count, 6))


def targets(count: int = 5) -> tuple[Any, ...]:
    rng = np.random.default_rng(1)
    return rng.integers(0, 3, count), rng.normal(size=(count, 2)), rng.integers(0, 4, count)


def split(z: Any) -> list[Any]:
    return [z[..., :3], z[..., 3:5], z[..., 5:]]


def matrices(factor: tuple[Any, Any]) -> Any:
    return np.einsum("kn,kni,knj->nij", factor[0], factor[1], factor[1])


def test_loss_and_gradient_are_those_of_the_parts() -> None:
    z = outputs()
    ns = namespace_of(z)
    checked = WHOLE.check_targets(ns, targets(), 6)
    parts = [
        part.check_targets(ns, own, size) for part, own, size in zip(PARTS, targets(), SIZES, strict=True)
    ]
    triples = list(zip(PARTS, split(z), parts, strict=True))
    losses = [part.loss(ns, own, rows) for part, own, rows in triples]
    assert np.array_equal(WHOLE.loss(ns, z, checked), losses[0] + losses[1] + losses[2])
    gradients = [part.loss_gradient(ns, own, rows) for part, own, rows in triples]
    assert np.array_equal(WHOLE.loss_gradient(ns, z, checked), np.concatenate(gradients, axis=1))
    means = [part.predictions(ns, own) for part, own in zip(PARTS, split(z), strict=True)]
    assert np.array_equal(WHOLE.predictions(ns, z), np.concatenate(means, axis=1))


def test_the_fisher_metric_is_the_direct_sum() -> None:
    z = outputs()
    ns = namespace_of(z)
    weights, covectors = WHOLE.fisher_factor(ns, z)
    assert weights.shape == (2 + 2 + 1, 5)
    expected, start = np.zeros((5, 6, 6)), 0
    for part, own in zip(PARTS, split(z), strict=True):
        stop = start + own.shape[1]
        expected[:, start:stop, start:stop] = matrices(part.fisher_factor(ns, own))
        start = stop
    assert np.array_equal(matrices((weights, covectors)), expected)
    swapped = matrices(WHOLE.fisher_factor(ns, z[:, ::-1]))
    assert not np.array_equal(swapped, expected)


def test_the_radical_is_that_of_the_parts() -> None:
    two = gk.SideBySide(gk.Categorical(), gk.Gaussian(), gk.Categorical(), dimensions=(3, 1, 2))
    ns = namespace_of(np.zeros(1))
    assert two.radical(ns, 6).tolist() == [[1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 1]]
    Z = gk.AffineSpace("Z", 6)
    zeta = Z.frame("zeta")
    metric = two.on(zeta).metric.at(Z.from_coordinates(outputs()[0], zeta))
    assert metric.radical.dim == 2
    assert metric.rank == 4
    assert gk.SideBySide(gk.Gaussian(), gk.Poisson(), dimensions=(2, 4)).radical(ns, 6).shape == (0, 6)


def test_sampled_targets_of_the_parts_are_independent() -> None:
    """Twice the same logit: with one source for both the two answers would always agree."""
    both = gk.SideBySide(gk.Bernoulli(), gk.Bernoulli(), dimensions=(1, 1))
    z = np.asarray([[0.3, 0.3]])
    ns = namespace_of(z)
    samples = 20_000
    weights, covectors = both.sampled_factor(ns, z, Draws(2), 0, samples)
    exact = matrices(both.fisher_factor(ns, z))[0]
    found = matrices((weights, covectors))[0]
    p = 1 / (1 + np.exp(-0.3))
    variance = p * (1 - p)
    # The product of two independent gradients has variance (p (1 - p))²; 6 standard deviations.
    assert abs(found[0, 1]) <= 6 * variance / np.sqrt(samples)
    fourth = p * (1 - p) * ((1 - p) ** 3 + p**3)
    assert np.max(np.abs(np.diag(found - exact))) <= 6 * np.sqrt((fourth - variance**2) / samples)
    one_source = np.concatenate([gk.Bernoulli().sampled_factor(ns, z[:, :1], Draws(2), 0, samples)[1]] * 2, axis=-1)
    assert abs(matrices((weights, one_source))[0, 0, 1]) > 100 * variance / np.sqrt(samples)


def test_parts_draw_the_same_whatever_the_chunk() -> None:
    z = outputs(10)
    ns = namespace_of(z)
    whole = WHOLE.sampled_factor(ns, z, Draws(3), 4, 3)[1]
    halves = [WHOLE.sampled_factor(ns, z[:6], Draws(3), 4, 3)[1], WHOLE.sampled_factor(ns, z[6:], Draws(3), 10, 3)[1]]
    assert np.array_equal(whole, np.concatenate(halves, axis=1))
    assert not np.array_equal(whole, WHOLE.sampled_factor(ns, z, Draws(4), 4, 3)[1])
    assert Draws(3).part(0) == Draws(3).part(0)
    sources = [source for seed in (3, 4) for source in (Draws(seed), Draws(seed).part(0), Draws(seed).part(1))]
    assert len({source.seed for source in sources}) == 6


@pytest.mark.parametrize("kind", [GF(1_073_741_827), rational], ids=repr)
def test_gaussian_parts_are_exact_over_exact_kinds(kind: Any) -> None:
    ns = kind.default_namespace
    covariance = ns.asarray([[2, 1], [1, 5]])
    both = gk.SideBySide(gk.Gaussian(covariance), gk.Gaussian(), dimensions=(2, 1))
    whole = gk.Gaussian(ns.asarray([[2, 1, 0], [1, 5, 0], [0, 0, 1]]))
    Z = gk.AffineSpace("Z", 3, kind)
    zeta = Z.frame("zeta")
    points = Z.from_coordinates(ns.asarray([[1, 2, 3], [4, 0, 1]]), zeta)
    y = (ns.asarray([[1, 0], [2, 2]]), ns.asarray([[5], [1]]))
    assert both.on(zeta).metric.at(points[0]) == whole.on(zeta).metric.at(points[0])
    together = ns.concat(list(y), axis=1)
    assert both.on(zeta).differential(points, y) == whole.on(zeta).differential(points, together)
    other = ns.concat([y[0], y[1] + 1], axis=1)
    assert both.on(zeta).differential(points, y) != whole.on(zeta).differential(points, other)
    with pytest.raises(KindError, match="ordered kind"):
        both.on(zeta).loss(points, y)


@pytest.mark.parametrize("whole", [WHOLE, NAMED], ids=["tuple", "dict"])
def test_a_sample_with_several_targets_is_streamed_in_chunks(whole: gk.SideBySide) -> None:
    rng = np.random.default_rng(4)
    net, weights, iota = gk.MLP.from_arrays([rng.normal(size=(6, 4))], [rng.normal(size=6)])
    X, y = rng.normal(size=(7, 4)), targets(7)
    given: Any = y if whole is WHOLE else dict(zip(("count", "digit", "angle"), (y[2], y[0], y[1]), strict=True))
    loss = whole.on(iota)
    data = iota.sample(X, given)
    streamed = gk.Sample.from_batches([(X[:4], _rows(given, 0, 4)), (X[4:], _rows(given, 4, 7))], iota[net.inputs])
    for fisher in ("exact", "sampled", "empirical"):
        options: Any = {"fisher": fisher, "samples": 2, "seed": 5} if fisher == "sampled" else {"fisher": fisher}
        blocks = [
            net.kfac_metric(weights, sample, loss, chunk_size=size, **options).coordinates(iota).blocks[0].dense()
            for sample, size in ((data, None), (data, 2), (streamed, 3))
        ]
        # Means over 7 data in another order, of covectors of at most a few units.
        bound = 64 * EPSILON * np.max(np.abs(blocks[0]))
        assert np.max(np.abs(blocks[1] - blocks[0])) <= bound
        assert np.max(np.abs(blocks[2] - blocks[0])) <= bound
    values = [float(net.loss(weights, sample, loss, chunk_size=size)) for sample, size in ((data, None), (streamed, 2))]
    assert abs(values[0] - values[1]) <= 64 * EPSILON * abs(values[0])


def _rows(given: Any, start: int, stop: int) -> Any:
    if isinstance(given, dict):
        return {name: rows[start:stop] for name, rows in given.items()}
    return tuple(rows[start:stop] for rows in given)


def test_outputs_at_every_place_have_targets_at_every_place() -> None:
    rng = np.random.default_rng(6)
    spec = [gk.Convolution(3, 2), "tanh", gk.Convolution(6, 1)]
    net, iota = gk.ConvolutionalNetwork.from_shape((4,), 1, spec)
    weights, loss = net.random_weights(rng, iota), WHOLE.on(iota)
    X = rng.normal(size=(2, 4, 1))
    y = rng.integers(0, 3, (2, 3)), rng.normal(size=(2, 3, 2)), rng.integers(0, 4, (2, 3, 1))
    data = iota.sample(X, y)
    parts, start = 0.0, 0
    z = net(weights, net.inputs.from_coordinates(X, iota)).coordinates(iota)
    ns = namespace_of(z)
    for part, rows, size in zip(PARTS, y, SIZES, strict=True):
        flat = part.check_targets(ns, rows.reshape(6, *rows.shape[2:]), size)
        parts += float(part.loss(ns, z.reshape(6, 6)[:, start : start + size], flat).sum()) / 2
        start += size
    assert abs(float(net.loss(weights, data, loss)) - parts) <= 64 * EPSILON * abs(parts)
    with pytest.raises(ShapeError, match="a target for each"):
        net.loss(weights, iota.sample(X, (y[0], y[1], y[2][:, 0])), loss)


def test_a_module_of_pytorch_takes_several_targets_too() -> None:
    torch = pytest.importorskip("torch")
    from geomkfac.interop import from_module, kfac_of_module

    generator = torch.Generator().manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 6)).double()
    X = torch.randn((7, 4), generator=generator, dtype=torch.float64)
    y = tuple(torch.as_tensor(rows) for rows in targets(7))
    found = from_module(module, X)
    data = found.sample(X, y)
    metric = found.network.kfac_metric(found.weights, data, WHOLE.on(found.iota), fisher="empirical")
    hooked = kfac_of_module(module, X, y, WHOLE, fisher="empirical", chunk_size=3)
    one, two = found.factors(metric)["0"], hooked.factors()["0"]
    for mine, theirs in zip(one, two, strict=True):
        assert float((mine - theirs).abs().max()) <= 64 * EPSILON * float(mine.abs().max())
    losses = torch.nn.functional
    z = module(X)
    squares = ((z[:, 3:5] - y[1]) ** 2).sum(dim=1) / 2 + np.log(2 * np.pi)
    counts = z[:, 5].exp() - y[2] * z[:, 5] + torch.lgamma(y[2].double() + 1)
    expected = losses.cross_entropy(z[:, :3], y[0]) + (squares + counts).mean()
    value = float(found.network.loss(found.weights, data, WHOLE.on(found.iota)))
    assert abs(value - expected.item()) <= 64 * EPSILON * abs(value)


def test_it_runs_on_any_library_of_the_array_api() -> None:
    z, y = outputs(), targets()
    strict = array_api_strict.asarray(z)
    there, here = namespace_of(strict), namespace_of(z)
    theirs = WHOLE.check_targets(there, (y[0], array_api_strict.asarray(y[1]), y[2]), 6)
    mine = WHOLE.check_targets(here, y, 6)
    for left, right in (
        (WHOLE.loss(here, z, mine), WHOLE.loss(there, strict, theirs)),
        (WHOLE.fisher_factor(here, z)[1], WHOLE.fisher_factor(there, strict)[1]),
        (WHOLE.sampled_factor(here, z, Draws(0), 0, 2)[1], WHOLE.sampled_factor(there, strict, Draws(0), 0, 2)[1]),
    ):
        assert namespace_of(right) is there
        assert np.max(np.abs(left - there.to_numpy(right))) <= 64 * EPSILON * (1 + np.max(np.abs(left)))


def refuse(error: type[Exception], message: str, make: Any) -> None:
    with pytest.raises(error, match=message):
        make()


def test_parts_that_make_no_sense_are_refused() -> None:
    S, C = gk.SideBySide, gk.Categorical()
    refuse(ShapeError, "all names, or none", lambda: S(dimensions=()))
    refuse(ShapeError, "all names, or none", lambda: S(C, digit=C, dimensions=(2, 2)))
    refuse(ShapeError, r"required: 2 dimensions(.|\n)*\(3,\)", lambda: S(C, C, dimensions=(3,)))
    refuse(ShapeError, "two classes", lambda: S(C, dimensions=(1,)))
    refuse(KindError, "must be an int, not 2.0", lambda: S(C, dimensions=(2.0,)))
    refuse(KindError, "came    : 'categorical'", lambda: S("categorical", dimensions=(2,)))
    refuse(KindError, "parts of parts one by one", lambda: S(WHOLE, dimensions=(6,)))
    refuse(ShapeError, r"3 \+ 2 \+ 1 = 6\n  came    : 5", lambda: WHOLE.check_dimension(5))
    Z = gk.AffineSpace("Z", 4)
    refuse(ShapeError, r"3 \+ 2 \+ 1 = 6", lambda: WHOLE.on(Z.frame("zeta")))
    assert WHOLE.name == "side_by_side(categorical: 3, gaussian: 2, poisson: 1)"
    assert NAMED.name == "side_by_side(digit: 3, angle: 2, count: 1)"


def test_targets_that_are_not_arranged_as_the_parts_are_refused() -> None:
    ns, y = namespace_of(np.zeros(1)), targets()
    by_name = {"digit": y[0], "angle": y[1], "count": y[2]}
    for whole, given, came in (
        (WHOLE, y[0], "ndarray"),
        (WHOLE, y[:2], r"targets\[0\], targets\[1\]"),
        (WHOLE, by_name, "digit"),
        (NAMED, y, r"targets\[2\]"),
        (NAMED, {"digit": y[0]}, "digit"),
        (NAMED, {**by_name, "more": y[0]}, "more"),
    ):
        with pytest.raises(ShapeError, match=rf"has targets of its own(.|\n)*came    : .*{came}"):
            whole.check_targets(ns, given, 6)
    refuse(ShapeError, r"\[5, 4, 5\]", lambda: WHOLE.check_targets(ns, (y[0], y[1][:4], y[2]), 6))
    refuse(ValuesError, "label [789]", lambda: WHOLE.check_targets(ns, (y[0] + 7, y[1], y[2]), 6))
    Z = gk.AffineSpace("Z", 6)
    zeta = Z.frame("zeta")
    points = Z.from_coordinates(outputs(4), zeta)
    refuse(ShapeError, "4 outputs and 5 targets", lambda: WHOLE.on(zeta).loss(points, y))


def test_an_activation_before_the_outputs_changes_nothing_about_the_parts() -> None:
    """K-FAC of one datum is the exact Fisher metric's block, with families side by side as with one."""
    rng = np.random.default_rng(8)
    net, iota = gk.MLP.from_widths([3, 4, 6], maps.elu(0.5))
    weights = net.random_weights(rng, iota)
    data, loss = iota.sample(rng.normal(size=(1, 3)), targets(1)), WHOLE.on(iota)
    exact = net.fisher_metric(weights, data, loss).coordinates(iota)
    start = 0
    for block in net.kfac_metric(weights, data, loss).coordinates(iota).blocks:
        dense = block.dense()
        stop = start + len(dense)
        assert np.max(np.abs(dense - exact[start:stop, start:stop])) <= 64 * EPSILON * np.max(np.abs(exact))
        start = stop
