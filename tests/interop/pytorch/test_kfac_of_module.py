"""The K-FAC metric of modules by hooks: that of the network, and that of whole Jacobians."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac.interop import from_module, kfac_of_module

from .drawn import (
    DTYPES,
    Attention,
    Residual,
    convolutional,
    filled,
    fully_connected,
    inputs,
    nn,
    roundings,
    same,
    targets_of,
    torch,
)

SEEDS = st.integers(0, 2**20)
F = nn.functional
FAMILIES = {"categorical": gk.Categorical, "bernoulli": gk.Bernoulli, "gaussian": gk.Gaussian}


# -- hooks and networks ------------------------------------------------------------------------------------
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("fisher", ["exact", "sampled", "empirical"])
@given(drawn=st.one_of(fully_connected(), convolutional()), seed=SEEDS, data=st.data())
def test_hooks_and_the_network_give_one_metric(fisher: Any, family: str, drawn: Any, seed: int, data: Any) -> None:
    module, X = filled(drawn[0], seed, torch.float64), inputs(drawn[1], seed, torch.float64)
    found = from_module(module, X)
    with torch.no_grad():
        outputs = module(X)
    assume(family != "categorical" or outputs.shape[1] > 1)
    y = targets_of(family, outputs, seed)
    options = {
        "fisher": fisher, "samples": 1 if fisher != "sampled" else data.draw(st.integers(1, 3)), "seed": seed,
        "sharing": data.draw(st.sampled_from(["expand", "kfc", "reduce"])),
    }  # fmt: skip
    size = data.draw(st.sampled_from([None, 1, 2]))
    hooked = kfac_of_module(module, X, y, FAMILIES[family](), chunk_size=size, **options)
    loss = FAMILIES[family]().on(found.iota)
    metric = found.network.kfac_metric(found.weights, found.sample(X, y), loss, **options)
    mine, theirs = hooked.factors(), found.factors(metric)
    assert hooked.names == found.layers
    assert hooked.left_out == ()
    assert same(mine, theirs, roundings(module, X, theirs))


@DTYPES
def test_dtype_and_module_are_left_as_they_were(dtype: Any) -> None:
    module = filled(nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2)), 1, dtype)
    X = inputs((6, 3), 1, dtype)
    module[0].weight.grad = before = torch.ones_like(module[0].weight)
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    found = kfac_of_module(module, X, None, gk.Categorical())
    assert all(factor.dtype is dtype for pair in found.factors().values() for factor in pair)
    assert all(torch.equal(state[name], tensor) for name, tensor in module.state_dict().items())
    assert module[0].weight.grad is before
    assert module[0].bias.grad is None
    assert not any(part._forward_hooks for part in module.modules())


def test_frozen_parameters_have_a_metric_too() -> None:
    module = filled(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), 1, torch.float64)
    X = inputs((6, 3), 1, torch.float64)
    free = kfac_of_module(module, X, None, gk.Categorical()).factors()
    frozen = kfac_of_module(module.requires_grad_(False), X, None, gk.Categorical()).factors()
    assert all(
        map(torch.equal, (f for pair in free.values() for f in pair), (f for pair in frozen.values() for f in pair))
    )


def test_an_activation_in_place_behind_the_last_layer_is_pulled_back_through() -> None:
    X = inputs((6, 3), 1, torch.float64)
    found = [
        kfac_of_module(
            filled(nn.Sequential(nn.Linear(3, 2), nn.ReLU(inplace=how)), 1, torch.float64), X, None, gk.Gaussian()
        )
        for how in (False, True)
    ]
    assert torch.equal(found[0].factors()["0"][1], found[1].factors()["0"][1])
    assert not torch.equal(found[0].factors()["0"][1], torch.eye(2, dtype=torch.float64))


# -- brute force -------------------------------------------------------------------------------------------
def patches(layer: Any, taken: Any) -> Any:
    """What a layer takes at its places, one datum: rows, channel by channel, with a one where it has a bias."""
    if isinstance(layer, nn.Linear):
        rows = taken.reshape(-1, taken.shape[-1])
    else:
        columns = F.unfold(taken, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        rows = columns[0].mT
    return rows if layer.bias is None else torch.cat([rows, rows.new_ones((len(rows), 1))], dim=1)


def output_metric(family: str, outputs: Any) -> Any:
    """The Fisher metric at outputs (m, places), all places one after the other, as a dense matrix."""
    blocks = []
    for z in outputs.mT:
        if family == "categorical":
            p = torch.softmax(z, 0)
            blocks.append(torch.diag(p) - torch.outer(p, p))
        elif family == "bernoulli":
            p = torch.sigmoid(z)
            blocks.append(torch.diag(p * (1 - p)))
        else:
            blocks.append(torch.eye(len(z), dtype=z.dtype))
    return torch.block_diag(*blocks)


def brute_force(module: Any, X: Any, family: str, class_axis: int = 1) -> dict[str, tuple[Any, Any]]:
    """The factors of every layer of one group, datum by datum, from whole Jacobians."""
    layers = {name: part for name, part in module.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)}
    found = {}
    for name, layer in layers.items():
        As, Gs = [], []
        for x in X:
            taken, given, _ = run(module, layer, x, None, class_axis)
            J = torch.autograd.functional.jacobian(
                lambda shift, layer=layer, x=x: run(module, layer, x, shift, class_axis)[2].mT.reshape(-1), 0 * given
            )
            J = (J if isinstance(layer, nn.Linear) else J.movedim(2, -1)).reshape(len(J), -1, layer.weight.shape[0])
            rows = patches(layer, taken)
            As.append(rows.mT @ rows / len(rows))
            metric = output_metric(family, run(module, layer, x, None, class_axis)[2])
            Gs.append(torch.einsum("kpi,kl,lpj->ij", J, metric, J))
        found[name] = (torch.stack(As).mean(dim=0), torch.stack(Gs).mean(dim=0))
    return found


def run(module: Any, layer: Any, x: Any, shift: Any, class_axis: int) -> tuple[Any, Any, Any]:
    """One datum: what a layer takes, what it gives, and the outputs (m, places) where `shift` is added to that."""
    seen: list[Any] = []

    def hook(_: Any, arguments: Any, output: Any) -> Any:
        seen.extend((arguments[0].detach(), output.detach()))
        return output if shift is None else output + shift

    handle = layer.register_forward_hook(hook)
    outputs = module(x[None]).movedim(class_axis, 1)
    handle.remove()
    return (
        seen[0],
        seen[1],
        outputs.reshape(outputs.shape[1], -1) if shift is not None else outputs.detach().reshape(outputs.shape[1], -1),
    )


MODELS: dict[str, tuple[Callable[[], Any], tuple[int, ...], int]] = {
    "residual": (Residual, (3, 2, 4, 3), 1),
    "attention, one output": (lambda: Attention(True), (3, 4, 3), 1),
    "attention, outputs at every step": (lambda: Attention(False), (3, 4, 3), 2),
    "convolution with maps as outputs": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.Softsign(), nn.Conv2d(2, 3, 1)),
        (2, 1, 3, 4),
        1,
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("model", MODELS)
def test_models_without_a_network_have_the_factors_of_whole_jacobians(model: str, family: str) -> None:
    make, shape, axis = MODELS[model]
    module, X = filled(make(), 7, torch.float64), inputs(shape, 7, torch.float64)
    found = kfac_of_module(module, X, None, FAMILIES[family](), class_axis=axis)
    expected = brute_force(module, X, family, axis)
    bound = roundings(module, X, expected)
    assert same(found.factors(), expected, bound)
    assert set(found.left_out) == {name for name, _ in module.named_parameters() if "norm" in name}
    # The bound refutes a sum over data in place of the mean, another metric on the outputs, and another gauge.
    assert not same(found.factors(), {name: (A, len(X) * G) for name, (A, G) in expected.items()}, bound)
    if family != "gaussian":
        assert not same(found.factors(), brute_force(module, X, "gaussian", axis), bound)
    one, *_ = expected
    assert not same(found.factors(), {**expected, one: (2 * expected[one][0], expected[one][1] / 2)}, bound)


def test_the_sampled_fisher_has_the_exact_one_as_its_mean() -> None:
    module, X = filled(Attention(False), 3, torch.float64), inputs((2, 3, 3), 3, torch.float64)
    exact = kfac_of_module(module, X, None, gk.Categorical(), class_axis=2).factors()

    def error(samples: int) -> float:
        drawn = kfac_of_module(
            module, X, None, gk.Categorical(), class_axis=2, fisher="sampled", samples=samples
        ).factors()
        return max(float((drawn[n][1] - exact[n][1]).abs().max() / exact[n][1].abs().max()) for n in exact)

    # The standard deviation falls as the root of the samples; six of them are never exceeded.
    assert error(10_000) < 6 * 2 / 100 * len(X)
    assert error(1) > error(10_000)


def test_the_empirical_fisher_is_made_of_the_gradients_of_single_data() -> None:
    module, X = filled(Attention(False), 5, torch.float64), inputs((4, 3, 3), 5, torch.float64)
    y = targets_of("categorical", module(X).detach().movedim(2, 1), 5)
    found = kfac_of_module(module, X, y, gk.Categorical(), class_axis=2, fisher="empirical").factors()
    kept: list[Any] = []
    handle = module.value.register_forward_hook(lambda *call: kept.append(call[2]))
    loss = F.cross_entropy(module(X).movedim(2, 1), y, reduction="sum")
    handle.remove()
    (gradient,) = torch.autograd.grad(loss, kept)
    rows = gradient.reshape(-1, 3)
    expected = {"value": (found["value"][0], rows.mT @ rows / len(X))}
    assert same({"value": found["value"]}, expected, roundings(module, X, expected))


def test_labels_with_the_classes_on_axis_one_or_last() -> None:
    module, X = filled(nn.Conv2d(1, 3, 2), 5, torch.float64), inputs((4, 1, 3, 3), 5, torch.float64)
    y = torch.randn((4, 3, 2, 2), dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    class Last(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: Any) -> Any:
            return self.inner(x).movedim(1, -1)

    first = kfac_of_module(module, X, y, gk.Gaussian(), fisher="empirical").factors()
    last = kfac_of_module(Last(), X, y.movedim(1, -1), gk.Gaussian(), fisher="empirical", class_axis=3).factors()
    assert same({"": last["inner"]}, first, roundings(module, X, first))
    with pytest.raises(gk.errors.ShapeError, match=r"class_axis must be one of the axes 1, \.\.\., 3, not 4"):
        kfac_of_module(Last(), X, y, gk.Gaussian(), class_axis=4)


def test_frames_that_are_read_from_a_layer_without_bias_are_refused_by_name():
    module = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Tanh(), nn.Linear(4, 2)).double()
    found = kfac_of_module(module, torch.randn(20, 3).double(), None, gk.Categorical())
    for make in (
        lambda: found.iota.whitened(found.metric, norm=found.iota.euclidean),
        lambda: found.iota.centered(found.metric),
    ):
        with pytest.raises(gk.errors.FrameError, match="of a layer without one"):
            make()
