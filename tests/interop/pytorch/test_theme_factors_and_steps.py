"""Factors and steps of modules: from textbooks, of curvlinops, and back to the names of the state dict."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import geomkfac as gk
from geomkfac.interop import ModuleMetric, from_module, kfac_of_module

from .drawn import Attention, filled, inputs, nn, roundings, same, torch


# -- textbook factors --------------------------------------------------------------------------------------
@pytest.mark.parametrize("fisher", ["exact", "empirical"])
def test_the_factors_of_two_layers_from_the_textbook(fisher: Any) -> None:
    module = filled(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)), 1, torch.float64)
    X, N = inputs((8, 3), 1, torch.float64), 8
    y = torch.arange(8) % 3
    W2 = module[2].weight.detach()
    a1 = torch.tanh(module[0](X)).detach()
    p = torch.softmax(module(X).detach(), dim=1)
    if fisher == "exact":
        H = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    else:
        u = p - nn.functional.one_hot(y, 3)
        H = u[:, :, None] * u[:, None, :]
    back = (1 - a1**2)[:, :, None] * W2.mT
    homogeneous = lambda a: torch.cat([a, torch.ones((N, 1), dtype=a.dtype)], dim=1)  # noqa: E731
    expected = {
        "0": (homogeneous(X).mT @ homogeneous(X) / N, (back @ H @ back.mT).mean(dim=0)),
        "2": (homogeneous(a1).mT @ homogeneous(a1) / N, H.mean(dim=0)),
    }
    found = from_module(module, X)
    metric = found.network.kfac_metric(
        found.weights, found.sample(X, y), gk.Categorical().on(found.iota), fisher=fisher
    )
    bound = roundings(module, X, expected)
    assert same(found.factors(metric), expected, bound)
    assert same(kfac_of_module(module, X, y, gk.Categorical(), fisher=fisher).factors(), expected, bound)
    assert not same(found.factors(metric), {name: (G, A) for name, (A, G) in expected.items()}, bound)


def test_columns_of_a_convolution_are_those_of_its_flattened_weight() -> None:
    module = filled(
        nn.Sequential(nn.Conv2d(2, 3, (2, 3), padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(45, 2)), 1, torch.float64
    )
    X = inputs((3, 2, 4, 3), 1, torch.float64)
    rows = nn.functional.unfold(X, (2, 3), padding=1).mT.reshape(-1, 12)
    rows = torch.cat([rows, torch.ones((len(rows), 1), dtype=rows.dtype)], dim=1)
    found = from_module(module, X)
    metric = found.network.kfac_metric(found.weights, found.sample(X), gk.Categorical().on(found.iota))
    A = found.factors(metric)["0"][0]
    bound = roundings(module, X, found.factors(metric))
    expected = rows.mT @ rows / len(rows)
    assert bool(((A - expected).abs() <= bound).all())
    other = [*[k * 2 + j for j in range(2) for k in range(6)], 12]
    assert not bool(((A - expected[other][:, other]).abs() <= bound).all())
    flattened = module[:3](X).detach()
    last = torch.cat([flattened, torch.ones((3, 1), dtype=X.dtype)], dim=1)
    assert bool(((found.factors(metric)["3"][0] - last.mT @ last / 3).abs() <= bound).all())


# -- curvlinops --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("fisher", ["exact", "empirical"])
@pytest.mark.parametrize("sharing", ["expand", "reduce"])
@pytest.mark.parametrize("model", ["linear", "convolution"])
def test_the_factors_are_those_of_curvlinops(fisher: Any, sharing: Any, model: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside its dependencies
        curvlinops: Any = pytest.importorskip("curvlinops")
        if model == "linear":
            module, shape = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)), (8, 3)
        else:
            parts = (nn.Conv2d(2, 3, 3, padding=1, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3))
            module, shape = nn.Sequential(*parts), (8, 2, 4, 3)
        module, X = filled(module, 1, torch.float64), inputs(shape, 1, torch.float64)
        y = torch.arange(8) % 3
        peer = curvlinops.KFACLinearOperator(
            module, nn.CrossEntropyLoss(), list(module.parameters()), [(X, y)], check_deterministic=False,
            fisher_type={"exact": "type-2", "empirical": "empirical"}[fisher], kfac_approx=sharing,
            separate_weight_and_bias=False, num_data=8, num_per_example_loss_terms=1,
        )  # fmt: skip
        peer.compute_kronecker_factors()
    expected = {n: (peer._input_covariances[n], peer._gradient_covariances[n]) for n in peer._input_covariances}
    for found in (
        kfac_of_module(module, X, y, gk.Categorical(), fisher=fisher, sharing=sharing).factors(),
        of_network(module, X, y, fisher, sharing),
    ):
        assert same(found, expected, roundings(module, X, expected))


def of_network(module: Any, X: Any, y: Any, fisher: Any, sharing: Any) -> dict[str, tuple[Any, Any]]:
    found = from_module(module, X)
    loss = gk.Categorical().on(found.iota)
    data = found.sample(X, y)
    return found.factors(found.network.kfac_metric(found.weights, data, loss, fisher=fisher, sharing=sharing))


# -- steps -------------------------------------------------------------------------------------------------
def test_a_natural_gradient_step_of_the_network_is_one_of_the_module() -> None:
    module = filled(
        nn.Sequential(nn.Conv1d(4, 4, 2, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3)), 1, torch.float64
    )
    X, y = inputs((40, 4, 4), 1, torch.float64), torch.arange(40) % 3
    found = from_module(module, X)
    data, loss = found.sample(X, y), gk.Categorical().on(found.iota)
    metric = found.network.kfac_metric(found.weights, data, loss)
    dh = found.network.differential(found.weights, data, loss)
    step = metric.damped(found.iota.euclidean, 1e-2).sharp(dh)
    moved = found.weights - 0.5 * step
    by_hand = {name: p - 0.5 * found.state_dict(step)[name] for name, p in module.state_dict().items()}
    module.load_state_dict(found.state_dict(moved))
    for name, tensor in module.state_dict().items():
        assert torch.allclose(tensor, by_hand[name], rtol=8 * 2.0**-52, atol=8 * 2.0**-52)
    fresh = inputs((5, 4, 4), 2, torch.float64)
    (chunk,) = found.sample(fresh).chunks(5)
    outputs = found.network(moved, chunk.points).coordinates(found.iota)
    bound = roundings(module, fresh, found.factors(metric))
    assert bool(((module(fresh).detach() - outputs).abs() <= bound).all())
    before = found.network(found.weights, chunk.points).coordinates(found.iota)
    assert not bool(((module(fresh).detach() - before).abs() <= bound).all())


@pytest.mark.parametrize("behind", [nn.Sigmoid(), nn.ELU(inplace=True)], ids=["apart", "in place"])
def test_the_constants_of_softmax_are_null_directions_of_a_layer_that_ends_the_module(behind: Any) -> None:
    module = filled(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)), 1, torch.float32)
    X = inputs((40, 3), 1, torch.float32)
    found = from_module(module, X)
    theirs = found.network.kfac_metric(found.weights, found.sample(X), gk.Categorical().on(found.iota))
    mine = kfac_of_module(module, X, None, gk.Categorical()).metric
    assert [part.nullity for part in mine.parts] == [part.nullity for part in theirs.parts] == [0, 5]
    # Behind an activation the constants are other directions for every datum.
    metric = kfac_of_module(nn.Sequential(*module, behind), X, None, gk.Categorical()).metric
    assert metric.parts[1].nullity == 0


def test_a_step_by_hooks_is_the_step_of_the_network() -> None:
    module = filled(
        nn.Sequential(nn.Conv1d(4, 4, 2, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3)), 1, torch.float64
    )
    X, y = inputs((40, 4, 4), 1, torch.float64), torch.arange(40) % 3
    found = from_module(module, X)
    data, loss = found.sample(X, y), gk.Categorical().on(found.iota)
    metric, gamma = found.network.kfac_metric(found.weights, data, loss), 1e-2
    own = found.network.differential(found.weights, data, loss)
    expected = found.state_dict(metric.damped(found.iota.euclidean, gamma).sharp(own))
    hooked = kfac_of_module(module, X, None, gk.Categorical())
    nn.functional.cross_entropy(module(X), y).backward()
    dh = hooked.covector({name: p.grad for name, p in module.named_parameters()})
    step = hooked.state_dict(hooked.metric.damped(hooked.iota.euclidean, gamma).sharp(dh))
    # The damped factors have condition at most (largest eigenvalue + gamma) / gamma, each.
    largest = max(float(torch.linalg.norm(f, 2)) for pair in hooked.factors().values() for f in pair)
    condition = (largest**2 + gamma) / gamma
    for name, tensor in step.items():
        bound = roundings(module, X, hooked.factors()) * condition**2
        assert bool(((tensor - expected[name]).abs() <= bound).all())
        assert not bool(((2 * tensor - expected[name]).abs() <= bound).all())
    # And back: a covector's state dict is the gradient itself.
    assert all(torch.equal(hooked.state_dict(dh)[name], p.grad) for name, p in module.named_parameters())


def test_whitened_frames_make_the_factors_projections() -> None:
    module, X = filled(Attention(True), 3, torch.float64), inputs((30, 4, 3), 3, torch.float64)
    hooked = kfac_of_module(module, X, None, gk.Gaussian(), layers=["query", "value", "last"])
    assert hooked.left_out == ("key.weight",)
    kappa = hooked.iota.whitened(hooked.metric, norm=hooked.iota.euclidean)
    own = hooked.factors()
    for name, (A, G) in hooked.factors(kappa).items():
        eigenvalues = torch.linalg.eigvalsh(own[name][1])
        # Two outputs at a mean of values: the metric on the values has rank two.
        rank = 2 if name == "value" else len(G)
        conditions = torch.linalg.cond(own[name][0]), eigenvalues[-1] / eigenvalues[-rank]
        for factor, condition in zip((A, G), conditions, strict=True):
            assert bool(((factor @ factor - factor).abs() <= 64 * 2.0**-52 * float(condition)).all())
        assert abs(float(torch.trace(A)) - len(A)) < 0.5 > abs(float(torch.trace(G)) - rank)


def test_layers_without_a_bias_are_linear_maps() -> None:
    module, X = filled(nn.Linear(3, 2, bias=False), 1, torch.float64), inputs((9, 3), 1, torch.float64)
    hooked = kfac_of_module(module, X, None, gk.Gaussian())
    A, G = hooked.factors()[""]
    expected = {"": (X.mT @ X / 9, torch.eye(2, dtype=X.dtype))}
    assert same({"": (A, G)}, expected, roundings(module, X, expected))
    y = inputs((9, 2), 2, torch.float64)
    ((module(X) - y).square().sum() / 2 / 9).backward()
    dh = hooked.covector({"weight": module.weight.grad})
    step = hooked.state_dict(hooked.metric.sharp(dh))["weight"]
    # Least squares: one natural gradient step ends at the solution.
    solution = torch.linalg.lstsq(X, y).solution.mT
    condition = float(torch.linalg.cond(A))
    assert bool(((module.weight.detach() - step - solution).abs() <= condition * 100 * 2.0**-52).all())
    assert isinstance(hooked, ModuleMetric)
