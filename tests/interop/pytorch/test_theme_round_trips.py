"""PyTorch modules as networks, and networks as modules: the same function, the same numbers, the same names."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac import maps
from geomkfac.interop import ImportedModule, from_module, to_module
from geomkfac.testing import convolutional_networks, networks, recurrent_networks

from .drawn import (
    ACTIVATIONS,
    DTYPES,
    STEEPEST,
    THERE,
    Recurrent,
    Stepwise,
    absolute,
    convolutional,
    filled,
    fully_connected,
    inputs,
    leaves,
    modules,
    nn,
    recurrent,
    rounding,
    torch,
)

SEEDS = st.integers(0, 2**20)
LIBRARIES = st.sampled_from(["torch", "numpy"])
CONDITION = 40.0
"""Of one change of `Parameterization.random` on a hull: at most 10 for the matrix, times its translation's 4."""


def computed(found: ImportedModule, X: Any, weights: Any = None, frames: Any = None) -> Any:
    """The network's outputs on data of the module, laid out as the module's."""
    frames = found.iota if frames is None else frames
    sample = found.sample(X)
    (chunk,) = sample.chunks(len(X) * 100)
    values = torch.as_tensor(
        found.network(found.weights if weights is None else weights, chunk.points).coordinates(frames)
    )
    if isinstance(found.network, gk.RecurrentNetwork):
        return values.swapaxes(0, 1) if found._time_first and found.network.output_places else values
    return values.movedim(-1, 1)


def within(left: Any, right: Any, bound: Any) -> bool:
    return left.shape == right.shape and bool(((left - right).abs() <= bound).all())


# -- a module as a network ---------------------------------------------------------------------------------
@DTYPES
@given(drawn=modules(), seed=SEEDS, library=LIBRARIES)
def test_the_network_of_a_module_computes_the_same_function(dtype: Any, drawn: Any, seed: int, library: str) -> None:
    module, X = filled(drawn[0], seed, dtype), inputs(drawn[1], seed, dtype)
    found = from_module(module, X, library=library)
    fresh = inputs(drawn[1], seed + 1, dtype)
    with torch.no_grad():
        expected = module(fresh)
    outputs = computed(found, fresh)
    assert outputs.dtype is dtype
    assert within(outputs, expected, rounding(module, fresh))


@given(drawn=fully_connected(), seed=SEEDS)
def test_the_bound_on_rounding_refutes_a_weight_that_is_off_in_single_precision(drawn: Any, seed: int) -> None:
    module, X = filled(drawn[0], seed, torch.float64), inputs(drawn[1], seed, torch.float64)
    found = from_module(module, X)
    last = next(leaf for leaf in reversed(leaves(module)) if isinstance(leaf, nn.Linear))
    saturated = leaves(module)[-1] is not last
    with torch.no_grad():
        last.bias += 1e-7 * (1 + last.bias.abs())
        moved = module(X)
    if not saturated:
        assert not within(computed(found, X), moved, rounding(module, X))


@DTYPES
@given(drawn=modules(), seed=SEEDS, library=LIBRARIES)
def test_the_state_dict_comes_back_bit_for_bit(dtype: Any, drawn: Any, seed: int, library: str) -> None:
    module, X = filled(drawn[0], seed, dtype), inputs(drawn[1], seed, dtype)
    found = from_module(module, X, library=library)
    state, expected = found.state_dict(found.weights), module.state_dict()
    assert set(state) == set(expected)
    for name, tensor in expected.items():
        assert state[name].dtype is tensor.dtype
        assert state[name].device == tensor.device
        assert torch.equal(state[name], tensor)
    # Copies: neither side changes the other.
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert all(torch.equal(tensor, state[name]) for name, tensor in found.state_dict(found.weights).items())
    module.load_state_dict(state)
    again = found.state_dict(found.point(module.state_dict()))
    assert all(torch.equal(again[name], state[name]) for name in state)


@given(drawn=st.one_of(fully_connected(), convolutional()), seed=SEEDS)
def test_module_to_network_to_module_to_network_changes_no_bit(drawn: Any, seed: int) -> None:
    module, X = filled(drawn[0], seed, torch.float64), inputs(drawn[1], seed, torch.float64)
    found = from_module(module, X)
    again = to_module(found.network, found.weights, found.iota)
    for mine, theirs in zip(again.parameters(), module.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    second = from_module(again, X.flatten(1) if found._flattened else X)
    for mine, theirs in zip(second.network.to_arrays(second.weights, second.iota),
                            found.network.to_arrays(found.weights, found.iota), strict=True):  # fmt: skip
        assert all(map(torch.equal, mine, theirs))


def test_a_module_with_a_forward_of_functions_is_taken_too() -> None:
    class Functions(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(16, 3)

        def forward(self, x: Any) -> Any:
            x = nn.functional.dropout(torch.relu(self.first(x)), 0.5, training=False)
            x = nn.functional.avg_pool2d(x, 2)
            return self.second(x.view(x.size(0), -1))

    module, X = filled(Functions(), 1, torch.float64), inputs((3, 2, 4, 4), 1, torch.float64)
    found = from_module(module, X)
    plain = nn.Sequential(module.first, nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), module.second)
    assert found.layers == ("first", "second")
    assert within(computed(found, X), module(X).detach(), rounding(plain, X))


FUNCTIONS = {
    **{name: partial(getattr(nn.functional, there.function), **there.settings) for name, there in THERE.items()},
    "tanh": torch.tanh, "logistic": torch.sigmoid, "relu": torch.relu_, "silu": lambda x: nn.functional.silu(x, True),
    "leaky_relu(0.3)": lambda x: nn.functional.leaky_relu(x, 0.3, inplace=True),
    "leaky_relu(0.4)": lambda x: nn.functional.leaky_relu_(x, 0.4),
    "elu(0.5)": lambda x: nn.functional.elu(x, alpha=0.5), "elu(0.7)": lambda x: nn.functional.elu(x, 0.7, True),
    "softplus": lambda x: nn.functional.softplus(x, 1, 30),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_activation_is_taken_as_a_function_and_written_as_a_module(name: str) -> None:
    class Functions(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(2, 4), nn.Linear(4, 3)

        def forward(self, x: Any) -> Any:
            return self.second(FUNCTIONS[name](self.first(x)))

    module, X = filled(Functions(), 1, torch.float64), inputs((3, 2), 1, torch.float64)
    found = from_module(module, X)
    assert found.network.activations[0].function == maps.activation(name)
    twin = to_module(found.network, found.weights, found.iota)
    assert within(computed(found, X), module(X).detach(), rounding(twin, X))
    assert within(twin(X).detach(), module(X).detach(), rounding(twin, X))
    again = from_module(twin, X)
    assert again.network.activations[0].function == maps.activation(name)


SOME = torch.linspace(-6, 6, 1001, dtype=torch.float64)


def unsaid(phi: maps.Activation) -> list[str]:
    """The modules of torch.nn that compute what an activation does, where it says that there is none."""
    if phi.pytorch is not None:
        return []
    own, found = phi.value(gk.namespace_of(SOME), SOME), []
    for kind in nn.modules.activation.__all__:
        with suppress(Exception):  # Whatever PyTorch raises, or warns of, where one takes other tensors or arguments.
            values = getattr(nn, kind)().double().eval()(SOME.clone()).detach()
            found += [f"{type(phi).__name__}.pytorch = InPyTorch({kind!r}, ...)"] * torch.allclose(values, own)
    return found


def test_no_activation_leaves_unsaid_what_it_is_in_pytorch() -> None:
    assert [line for phi in maps.ACTIVATIONS.values() for line in unsaid(phi)] == []


def test_an_activation_that_left_it_unsaid_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps.Mish, "pytorch", None)
    assert unsaid(maps.mish) == ["Mish.pytorch = InPyTorch('Mish', ...)"]


def test_no_activation_is_steeper_than_the_bound_on_rounding_says() -> None:
    for make in ACTIVATIONS:
        values = make()(SOME.clone())
        assert float(values.diff().abs().max() / (SOME[1] - SOME[0])) <= STEEPEST, make


def test_a_mean_over_all_places_is_average_pooling() -> None:
    class Mean(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv1d(2, 3, 2), nn.Linear(3, 2)

        def forward(self, x: Any) -> Any:
            return self.second(torch.tanh(self.first(x)).mean(dim=-1))

    module, X = filled(Mean(), 2, torch.float64), inputs((3, 2, 5), 2, torch.float64)
    found = from_module(module, X)
    plain = nn.Sequential(module.first, nn.Tanh(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), module.second)
    assert within(computed(found, X), module(X).detach(), rounding(plain, X))


@pytest.mark.parametrize("pool", [nn.AvgPool1d(2), nn.AvgPool1d(3), nn.AdaptiveAvgPool1d(1), nn.MaxPool1d(2)], ids=str)
def test_one_place_that_is_left_is_flattened_whatever_window_left_it(pool: Any) -> None:
    module = filled(nn.Sequential(nn.Conv1d(1, 2, 1), nn.Tanh(), pool, nn.Flatten(), nn.Linear(2, 2)), 1, torch.float64)
    X = inputs((3, 1, 3), 1, torch.float64)
    assert within(computed(from_module(module, X), X), module(X).detach(), rounding(module, X))


def test_maxima_are_taken_in_the_frames_of_the_module() -> None:
    parts = (nn.Conv1d(1, 2, 1), nn.MaxPool1d(2), nn.Tanh(), nn.Flatten(), nn.Linear(4, 2))
    module, X = filled(nn.Sequential(*parts), 1, torch.float64), inputs((3, 1, 4), 1, torch.float64)
    found = from_module(module, X)
    Z = found.network.layers[0].codomain
    # Signs turn a maximum into a minimum, and powers of two round nothing.
    kappa = found.iota.change({Z: (-2.0 * np.eye(2), np.ones(2))})
    twin = to_module(found.network, found.weights, kappa)
    assert any(type(part).__name__ == "FixedAffine" for part in twin)
    with torch.no_grad():
        assert within(twin(X), module(X), rounding(twin, X, weights=8))
        bare = nn.Sequential(*(part for part in twin if type(part).__name__ != "FixedAffine"))
        assert not within(bare(X), module(X), rounding(twin, X, weights=8))


def test_a_layer_alone_has_no_name() -> None:
    module = filled(nn.Linear(3, 2), 1, torch.float32)
    found = from_module(module, inputs((4, 3), 1, torch.float32))
    assert found.layers == ("",)
    assert found.entries == (("weight", "bias"),)
    assert set(found.state_dict(found.weights)) == {"weight", "bias"}


def test_groups_are_layers_of_their_own() -> None:
    module = filled(nn.Sequential(nn.Conv1d(4, 6, 2, groups=2), nn.Tanh(), nn.Conv1d(6, 1, 1)), 1, torch.float64)
    assert from_module(module, inputs((2, 4, 3), 1, torch.float64)).layers == ("0[0]", "0[1]", "2")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_is_kept() -> None:
    module = filled(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), 1, torch.float32).cuda()
    X = inputs((5, 3), 1, torch.float32).cuda()
    found = from_module(module, X)
    assert all(tensor.is_cuda for tensor in found.state_dict(found.weights).values())
    assert all(p.is_cuda for p in to_module(found.network, found.weights, found.iota).parameters())
    numpy = from_module(module, X, library="numpy")
    assert all(tensor.is_cuda for tensor in numpy.state_dict(numpy.weights).values())


# -- targets of data ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("batch_first", [True, False])
def test_targets_of_sequences_are_laid_out_as_the_outputs(batch_first: bool) -> None:
    module = filled(Recurrent((2, 3, 4), "every", "tanh", batch_first), 3, torch.float64)
    module, X = module.requires_grad_(False), inputs((5, 6, 2), 3, torch.float64)
    found = from_module(module, X)
    y = torch.arange(30).reshape(5, 6) % 4
    loss = found.network.loss(found.weights, found.sample(X, y), gk.Categorical().on(found.iota))
    count = 5 if batch_first else 6
    summed = nn.functional.cross_entropy(module(X).flatten(0, 1), y.flatten(), reduction="sum") / count
    assert float(abs(loss - summed)) <= 1e3 * 2.0**-52 * float(summed)
    values = inputs((5, 6, 4), 4, torch.float64)
    squared = found.network.loss(found.weights, found.sample(X, values), gk.Gaussian().on(found.iota))
    by_hand = (module(X) - values).square().sum() / 2 / count
    constant = float(squared) - float(by_hand)
    # Up to the logarithm of the density's constant, which no target changes.
    other = found.network.loss(found.weights, found.sample(X, 2 * values), gk.Gaussian().on(found.iota))
    assert abs(float(other) - float((module(X) - 2 * values).square().sum() / 2 / count) - constant) < 1e-12


def test_targets_of_maps_have_their_channels_on_axis_one() -> None:
    module = filled(nn.Conv2d(1, 3, 2), 3, torch.float64)
    X, y = inputs((2, 1, 4, 3), 3, torch.float64), inputs((2, 3, 3, 2), 4, torch.float64)
    found = from_module(module, X)
    dh = found.network.differential(found.weights, found.sample(X, y), gk.Gaussian().on(found.iota))
    ((module(X) - y).square().sum() / 2 / len(X)).backward()
    for name, tensor in found.state_dict(dh).items():
        assert within(tensor, dict(module.named_parameters())[name].grad, 1e3 * 2.0**-52)
    labels = torch.arange(12).reshape(2, 3, 2) % 3
    loss = found.network.loss(found.weights, found.sample(X, labels), gk.Categorical().on(found.iota))
    expected = nn.functional.cross_entropy(module(X).detach(), labels, reduction="sum") / len(X)
    assert float(abs(loss - expected)) <= 1e3 * 2.0**-52 * float(expected)


# -- a network as a module ---------------------------------------------------------------------------------
@DTYPES
@given(drawn=st.one_of(fully_connected(), convolutional()), seed=SEEDS)
def test_a_twin_in_other_frames_computes_the_same_function(dtype: Any, drawn: Any, seed: int) -> None:
    module, X = filled(drawn[0], seed, dtype), inputs(drawn[1], seed, dtype)
    found = from_module(module, X)
    kappa = found.iota.random(np.random.default_rng(seed))
    twin = to_module(found.network, found.weights, kappa)
    assert {(p.dtype, p.is_contiguous()) for p in twin.parameters()} == {(dtype, True)}
    (chunk,) = found.sample(X).chunks(1000)
    there = chunk.points.coordinates(kappa[found.network.inputs])
    there = there.movedim(-1, 1).contiguous() if there.ndim > 2 else there
    with torch.no_grad():
        values = twin(there).detach()
    outputs = found.network(found.weights, chunk.points)
    expected = outputs.coordinates(kappa)
    expected = expected.movedim(-1, 1) if expected.ndim > 2 else expected
    # Conversions of weights and inputs: two frames each, of this condition.
    bound = rounding(twin, there, weights=64 * CONDITION**2)
    own = rounding(module, X)
    assert within(values, expected, bound + 64 * CONDITION * float(own.max()))


@given(drawn=fully_connected(), seed=SEEDS)
def test_a_twin_without_its_fixed_maps_computes_something_else(drawn: Any, seed: int) -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))
    module, X = filled(module, seed, torch.float64), inputs((4, 2), seed, torch.float64)
    found = from_module(module, X)
    kappa = found.iota.random(np.random.default_rng(seed))
    twin = to_module(found.network, found.weights, kappa)
    bare = nn.Sequential(*(part for part in twin if type(part).__name__ != "FixedAffine"))
    assert len(bare) < len(twin)
    assert not within(bare(X), twin(X), rounding(twin, X, weights=64 * CONDITION**2))


@given(drawn=networks(), seed=SEEDS)
def test_a_network_is_the_module_that_one_would_write(drawn: Any, seed: int) -> None:
    net, weights, iota = drawn
    module = to_module(net, weights, iota)
    arrays = net.to_arrays(weights, iota)
    for index, parameter in enumerate(module.parameters()):
        assert torch.equal(parameter, torch.from_numpy(np.ascontiguousarray(arrays[index // 2][index % 2])))
    assert not any(type(part).__name__ == "FixedAffine" for part in module)
    X = inputs((5, net.inputs.dim), seed, torch.float64)
    outputs = net(weights, net.inputs.from_coordinates(X.numpy(), iota[net.inputs])).coordinates(iota)
    assert within(module(X).detach(), torch.from_numpy(outputs), rounding(module, X))


@given(drawn=convolutional_networks(), seed=SEEDS)
def test_a_convolutional_network_is_such_a_module(drawn: Any, seed: int) -> None:
    net, weights, iota = drawn
    grid, channels = net.inputs.grid, net.inputs.base.dim
    X = inputs((3, channels, *grid), seed, torch.float64)
    points = net.inputs.from_coordinates(X.movedim(1, -1).numpy(), net.inputs.frame(iota[net.inputs.base]))
    outputs = torch.from_numpy(net(weights, points).coordinates(iota))
    module = to_module(net, weights, iota)
    expected = outputs.movedim(-1, 1) if outputs.ndim > 2 else outputs
    assert within(module(X).detach(), expected, rounding(module, X))


@given(drawn=recurrent_networks(), seed=SEEDS)
def test_a_recurrence_in_other_frames_computes_the_same_function(drawn: Any, seed: int) -> None:
    net, weights, iota = drawn
    steps, n = net.inputs.grid[0], net.inputs.base.dim
    X = inputs((3, steps, n), seed, torch.float64) / 4
    points = net.inputs.from_coordinates(X.numpy(), net.inputs.frame(iota[net.inputs.base]))
    for frames in (iota, iota.random(np.random.default_rng(seed))):
        module = to_module(net, weights, frames)
        there = torch.from_numpy(points.coordinates(net.inputs.frame(frames[net.inputs.base])).copy())
        expected = torch.from_numpy(net(weights, points).coordinates(frames))
        values = module(there).detach()
        # Small integers in weights of at most 3 units grow by at most their row sums, in every step, and with
        # the condition of the frames; polynomials of degree two square them.
        size = max(1.0, float(expected.abs().max()), largest_state(module, there)) ** 2 * 8
        slope = 2 * size * sum(float(p.detach().abs().sum()) for p in module.parameters())
        bound = 2.0**-52 * CONDITION**2 * 64 * size * max(1.0, slope) ** steps
        assert within(values, expected, bound)
    learned = not isinstance(net.initial, gk.Point)
    assert len(list(module.parameters())) == 6 + learned


def largest_state(module: Any, x: Any) -> float:
    """The largest entry of a state of a `Recurrence`, in absolute value."""
    found: list[float] = []
    handle = module.activation.register_forward_hook(lambda *call: found.append(float(call[2].detach().abs().max())))
    module(x)
    handle.remove()
    return max(found)


@given(drawn=recurrent(), seed=SEEDS)
def test_a_recurrence_and_its_module_have_one_gradient(drawn: Any, seed: int) -> None:
    module, X = filled(drawn[0], seed, torch.float64), inputs(drawn[1], seed, torch.float64)
    found = from_module(module, X)
    gradients_agree(found, module, X, rounding(module, X))


@given(drawn=st.one_of(fully_connected(), convolutional()), seed=SEEDS)
def test_a_differential_is_what_autograd_leaves(drawn: Any, seed: int) -> None:
    module, X = filled(drawn[0], seed, torch.float64), inputs(drawn[1], seed, torch.float64)
    found = from_module(module, X)
    gradients_agree(found, module, X, rounding(module, X))


def gradients_agree(found: ImportedModule, module: Any, X: Any, bound: Any, share: float = 1.0) -> None:
    """Squared loss: the differential, as a state dict, and autograd's gradient of the same mean of sums."""
    count = X.shape[1] if found._time_first else X.shape[0]
    outputs = module(X)
    target = outputs.detach() + 1 + torch.linspace(0, 1, outputs.numel(), dtype=X.dtype).reshape(outputs.shape)
    module.zero_grad()
    (share * (outputs - target).square().sum() / 2 / count).backward()
    dh = found.network.differential(found.weights, found.sample(X, target), gk.Gaussian().on(found.iota))
    magnitudes = gradient_magnitude(module, X)
    for name, tensor in found.state_dict(dh).items():
        expected = dict(module.named_parameters())[name].grad
        assert within(tensor, expected, 2.0**-52 * magnitudes + 4 * magnitudes * float(torch.as_tensor(bound).max()))


def test_the_bound_on_gradients_refutes_a_mean_over_outputs_in_place_of_a_sum() -> None:
    module, X = (
        filled(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)), 1, torch.float64),
        inputs((4, 2), 1, torch.float64),
    )
    found = from_module(module, X)
    gradients_agree(found, module, X, rounding(module, X))
    with pytest.raises(AssertionError):
        gradients_agree(found, module, X, rounding(module, X), share=0.5)


def gradient_magnitude(module: Any, X: Any) -> float:
    """A bound on roundings times sizes of a gradient: products of absolute values, forward and back."""
    total = 1.0 + float(X.abs().sum())
    for part in module.modules():
        own = [p.detach().abs().sum() for p in part._parameters.values() if p is not None]
        if own:
            repeats = max(X.shape[0], X.shape[1]) if isinstance(part, nn.RNN | nn.RNNCell) else 1
            total *= (2.0 + float(sum(own))) ** (2 * repeats)
    return total * 64


def test_what_is_no_network_or_no_frames_is_refused_by_name() -> None:
    net, weights, iota = gk.MLP.from_arrays([np.eye(2)], [np.zeros(2)])
    with pytest.raises(gk.errors.SpaceMismatchError, match="MLP, a ConvolutionalNetwork or a RecurrentNetwork"):
        to_module(object(), weights, iota)  # type: ignore[arg-type]
    with pytest.raises(gk.errors.SpaceMismatchError, match="Parameterization"):
        to_module(net, weights, "iota")  # type: ignore[arg-type]
    exact, frames = gk.MLP.from_widths((2, 2), "identity", kind=gk.GF(101))
    with pytest.raises(gk.errors.KindError, match="floating-point numbers alone"):
        to_module(exact, exact.random_weights(np.random.default_rng(1), frames), frames)


def test_absolute_values_leave_the_layer_alone() -> None:
    layer = filled(nn.Linear(3, 2), 1, torch.float64)
    before = layer.weight.detach().clone()
    assert float(absolute(layer).weight.min()) >= 0
    assert torch.equal(layer.weight, before)


def test_the_cell_and_the_recurrence_are_one_network() -> None:
    sizes, X = (2, 3, 2), inputs((4, 5, 2), 1, torch.float64)
    whole = filled(Recurrent(sizes, "every", "tanh", True), 1, torch.float64)
    steps = Stepwise(sizes, "stack", "tanh", "index", True).double()
    steps.load_state_dict(
        {name.replace("rnn.", "cell.").replace("_l0", ""): p for name, p in whole.state_dict().items()}
    )
    one, two = from_module(whole, X), from_module(steps, X)
    for mine, theirs in zip(one.network.to_arrays(one.weights, one.iota),
                            two.network.to_arrays(two.weights, two.iota), strict=True):  # fmt: skip
        assert all(map(torch.equal, mine, theirs))
    assert torch.equal(computed(one, X), computed(two, X))
