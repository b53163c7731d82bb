"""The differential of the loss: against differences, and against PyTorch where it is installed."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.metrics.families.by_name import FAMILIES

EPSILON = 2.0**-52
OUTPUTS = list(FAMILIES)
ACTIVATIONS = [*gk.maps.ACTIVATIONS, "leaky_relu(0.25)", "elu(0.5)", "polynomial(0, 1, 0.25)"]


def problem(output: str, activation: str = "tanh", dtype: Any = np.float64) -> Any:
    rng = np.random.default_rng(11)
    m = 6 if output == "heteroscedastic_gaussian" else 3
    Ws = [rng.standard_normal(shape).astype(dtype) for shape in ((4, 3), (m, 4))]
    bs = [rng.standard_normal(len(W)).astype(dtype) for W in Ws]
    net, weights, iota = gk.MLP.from_arrays(Ws, bs, activation=activation)
    X = rng.standard_normal((9, 3)).astype(dtype)
    targets: Any = {
        "categorical": rng.integers(0, 3, 9),
        "reduced_categorical": rng.integers(0, 4, 9),
        "poisson": rng.integers(0, 5, (9, 3)),
        "heteroscedastic_gaussian": rng.standard_normal((9, 3)).astype(dtype),
        "bernoulli": rng.integers(0, 2, (9, 3)),
        "gaussian": rng.standard_normal((9, 3)).astype(dtype),
    }[output]
    return net, weights, iota, X, targets


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_central_differences_approach_it_to_second_order(output: str, activation: str) -> None:
    net, weights, iota, X, y = problem(output, activation)
    data, loss = iota.sample(X, y), gk.metrics.family(output).on(iota)
    v = net.random_weights(np.random.default_rng(2), iota) - weights
    slope = float(net.differential(weights, data, loss)(v))

    def error(t: float) -> float:
        ahead, behind = (float(net.loss(weights + s * t * v, data, loss)) for s in (1, -1))
        return abs((ahead - behind) / (2 * t) - slope)

    # The third derivative is at most about |v|^3 |X|^3, some hundreds; rounding adds epsilon |loss| / t.
    coarse, fine = error(2.0**-8), error(2.0**-10)
    rounding = 2.0**10 * 64 * EPSILON * float(net.loss(weights, data, loss))
    assert fine <= coarse / 8 + rounding
    assert coarse <= 0.05 * (1 + abs(slope))


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_pytorch_finds_the_same_loss_and_gradients(output: str, activation: str) -> None:
    torch = pytest.importorskip("torch")
    net, weights, iota, X, y = problem(output, activation)
    data, loss = iota.sample(X, y), gk.metrics.family(output).on(iota)
    tensors = [torch.tensor(a, requires_grad=True) for pair in net.to_arrays(weights, iota) for a in pair]
    squash = torch.tanh if activation == "tanh" else torch.relu
    z = squash(torch.tensor(X) @ tensors[0].T + tensors[1]) @ tensors[2].T + tensors[3]
    if output == "categorical":
        value = torch.nn.functional.cross_entropy(z, torch.tensor(y))
    elif output == "reduced_categorical":
        value = torch.nn.functional.cross_entropy(torch.cat([z, z[:, :1] * 0], dim=1), torch.tensor(y))
    elif output == "poisson":
        counts = torch.tensor(y, dtype=z.dtype)
        value = torch.nn.functional.poisson_nll_loss(z, counts) * 3 + torch.lgamma(counts + 1).sum() / 9
    elif output == "heteroscedastic_gaussian":
        loss_of = torch.nn.GaussianNLLLoss(full=True, eps=1e-300)
        value = loss_of(z[:, :3], torch.tensor(y), z[:, 3:].exp()) * 3
    elif output == "bernoulli":
        value = torch.nn.functional.binary_cross_entropy_with_logits(z, torch.tensor(y, dtype=z.dtype)) * 3
    else:
        value = ((z - torch.tensor(y)) ** 2).sum(dim=1).mean() / 2 + 1.5 * float(np.log(2 * np.pi))
    value.backward()
    assert abs(float(net.loss(weights, data, loss)) - value.item()) <= 64 * EPSILON * abs(value.item())
    parts = net.differential(weights, data, loss).coordinates(iota)
    for part, W, b in zip(parts, tensors[::2], tensors[1::2], strict=True):
        expected = np.column_stack([W.grad.numpy(), b.grad.numpy()])
        # Sums of 9 data through two layers of width 4, on terms of size |X| |W|.
        assert np.abs(part - expected).max() <= 2 * 9 * 8 * EPSILON * (1 + np.abs(expected).max()) * 4


@pytest.mark.parametrize("fisher", ["exact", "empirical"])
@pytest.mark.parametrize("output", ["categorical", "gaussian"])
def test_curvlinops_finds_the_same_products_of_factors(output: str, fisher: str) -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        curvlinops = pytest.importorskip("curvlinops")
    net, weights, iota, X, y = problem(output)
    modules: list[Any] = []
    for W, b in net.to_arrays(weights, iota):
        linear = torch.nn.Linear(W.shape[1], W.shape[0], dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(W))
            linear.bias.copy_(torch.tensor(b))
        modules += [linear, torch.nn.Tanh()]
    model = torch.nn.Sequential(*modules[:-1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        operator = curvlinops.KFACLinearOperator(
            model,
            torch.nn.CrossEntropyLoss() if output == "categorical" else torch.nn.MSELoss(reduction="sum"),
            list(model.parameters()),
            [(torch.tensor(X), torch.tensor(y))],
            fisher_type={"exact": "type-2", "empirical": "empirical"}[fisher],
            separate_weight_and_bias=False,
            check_deterministic=False,
            num_data=len(X),
            num_per_example_loss_terms=1,
        )
        operator @ torch.zeros(operator.shape[1], dtype=torch.float64)
    # Cross-entropy 'mean' has our scale.  Squared loss 'sum' has Hessian 2 and gradients 2 (z - y), summed.
    scale = 1.0 if output == "categorical" else {"exact": 2.0, "empirical": 4.0}[fisher] * len(X)
    loss = gk.metrics.family(output).on(iota)
    g = net.kfac_metric(weights, iota.sample(X, y), loss, fisher=fisher)  # type: ignore[arg-type]
    for name, block in zip(("0", "2"), g.coordinates(iota).blocks, strict=True):
        A, G = (part[name].numpy() for part in (operator._input_covariances, operator._gradient_covariances))
        expected = np.kron(A, G) / scale
        assert np.abs(block.dense() - expected).max() <= 2 * (9 + 24) * EPSILON * np.abs(expected).max()
