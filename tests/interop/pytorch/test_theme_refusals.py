"""Modules that are refused: by the name of the part, with the reason and what to do; never taken for another one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.errors import KindError, MissingExtraError, ShapeError, UnknownNameError
from geomkfac.interop import UnplaceableModuleError, from_module, kfac_of_module, to_module

from .drawn import Recurrent, Stepwise, inputs, nn, torch
from .refused import Own, hooked, mixed, tied, trained, twice

F = nn.functional


def subclassed() -> Any:
    class Doubling(nn.Linear):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return 2 * super().forward(x)

    return nn.Sequential(Doubling(2, 2))


def on_maps(*parts: Any) -> Any:
    return nn.Sequential(nn.Conv2d(2, 2, 1), *parts)


def states_reversed(m: Any, x: Any) -> Any:
    state = None
    for t in reversed(range(x.size(1))):
        state = m.cell(x[:, t], state)
    return m.last(state)


def started(m: Any, x: Any) -> Any:
    state = torch.ones(x.shape[0], 3)
    for t in range(x.size(1)):
        state = m.cell(x[:, t], state)
    return m.last(state)


def gated(m: Any, x: Any) -> Any:
    state = None
    for t in range(x.size(1)):
        state = 0.5 * m.cell(x[:, t], state)
    return m.last(state)


def unrolled(m: Any, x: Any, joined: Callable[[Any], Any]) -> Any:
    state, rows = None, []
    for t in range(x.size(1)):
        state = m.cell(x[:, t], state)
        rows.append(m.last(state))
    return joined(rows)


def short(m: Any, x: Any) -> Any:
    state = None
    for t in range(x.size(1) - 1):
        state = m.cell(x[:, t], state)
    return m.last(state)


def recurrence(forward: Callable[[Any, Any], Any], **options: Any) -> Any:
    directions = 2 if options.get("bidirectional") else 1
    return Own(forward, rnn=nn.RNN(2, 3, batch_first=True, **options), last=nn.Linear(3 * directions, 1))


def steps(forward: Callable[[Any, Any], Any], **options: Any) -> Any:
    return Own(forward, cell=nn.RNNCell(2, 3, **options), last=nn.Linear(3, 1))


ROWS, MAPS, SEQUENCES = (3, 2), (3, 2, 4, 4), (3, 5, 2)
CASES: dict[str, tuple[Callable[[], Any], tuple[int, ...], str, str]] = {
    # name: (module, shape of the example, the part that is named, the reason)
    "no bias": (lambda: nn.Sequential(nn.Linear(2, 2, bias=False)), ROWS, "'0' (Linear)", "it has no bias"),
    "convolution without bias": (lambda: nn.Conv2d(2, 2, 1, bias=False), MAPS, "the module (Conv2d)", "no bias"),
    "shared parameters": (tied, ROWS, "'2.weight'", "it is shared with '0.weight'"),
    "applied twice": (lambda: Own(twice, first=nn.Linear(2, 2)), ROWS, "'first' (Linear)", "it is applied twice"),
    "module twice in a Sequential": (lambda: nn.Sequential(*[nn.Linear(2, 2)] * 2), ROWS, "'1.weight'", "shared with"),
    "BatchNorm": (lambda: trained(nn.BatchNorm1d(2)), ROWS, "'1' (BatchNorm1d)", "it mixes the data of a batch"),
    "BatchNorm in evaluation": (lambda: trained(nn.BatchNorm1d(2)).eval(), ROWS, "'1' (BatchNorm1d)", "no such part"),
    "Dropout": (lambda: trained(nn.Dropout(0.5)), ROWS, "'1' (Dropout)", "it drops activations at random"),
    "dropout as a function": (
        lambda: Own(lambda m, x: F.dropout(m.a(x), 0.5, True), a=nn.Linear(2, 2)),
        ROWS, "'dropout' (Dropout)", "at random",
    ),
    "LayerNorm": (lambda: trained(nn.LayerNorm(2)), ROWS, "'1' (LayerNorm)", "no such part"),
    "Hardswish": (lambda: trained(nn.Hardswish()), ROWS, "'1' (Hardswish)", "no such part"),
    "Softmax": (lambda: trained(nn.Softmax(1)), ROWS, "'1' (Softmax)", "takes logits"),
    "function": (lambda: Own(lambda m, x: F.relu6(m.a(x)), a=nn.Linear(2, 2)), ROWS, "'relu6' (relu6)", "no stage"),
    "subclass": (subclassed, ROWS, "'0' (Doubling)", "not subclasses of them"),
    "hook": (hooked, ROWS, "the module (Sequential)", "it computes something else than its modules"),
    "LSTM": (lambda: Own(lambda m, x: m.a(x)[0], a=nn.LSTM(2, 2)), SEQUENCES, "'a' (LSTM)", "no such part"),
    "GRU": (lambda: Own(lambda m, x: m.a(x)[0], a=nn.GRU(2, 2)), SEQUENCES, "'a' (GRU)", "no such part"),
    "GRUCell": (lambda: Own(lambda m, x: m.a(x), a=nn.GRUCell(2, 2)), ROWS, "'a' (GRUCell)", "no such part"),
    "transposed": (lambda: nn.ConvTranspose2d(2, 2, 1), MAPS, "the module (ConvTranspose2d)", "no such part"),
    "ceil_mode": (lambda: on_maps(nn.MaxPool2d(3, ceil_mode=True)), MAPS, "'1' (MaxPool2d)", "ceil_mode=True"),
    "padded pooling": (lambda: on_maps(nn.AvgPool2d(2, padding=1)), MAPS, "'1' (AvgPool2d)", "padding=1"),
    "dilated pooling": (lambda: on_maps(nn.MaxPool2d(2, dilation=2)), MAPS, "'1' (MaxPool2d)", "dilation=2"),
    "divisor": (lambda: on_maps(nn.AvgPool2d(2, divisor_override=3)), MAPS, "'1' (AvgPool2d)", "divisor_override=3"),
    "indices": (lambda: on_maps(nn.MaxPool2d(2, return_indices=True)), MAPS, "'1' (MaxPool2d)", "it gives two values"),
    "adaptive": (lambda: on_maps(nn.AdaptiveAvgPool2d(3)), MAPS, "'1' (AdaptiveAvgPool2d)", "no multiple of (3, 3)"),
    "padding twice": (
        lambda: nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(2, 2, 3, padding=1)),
        MAPS, "'1' (Conv2d)", "it pads itself too",
    ),
    "padding of an activation": (
        lambda: nn.Sequential(nn.ZeroPad2d(1), nn.Tanh(), nn.Conv2d(2, 2, 3)), MAPS, "'1' (Tanh)", "directly before"
    ),
    "padding at the end": (lambda: on_maps(nn.ZeroPad2d(1)), MAPS, "'1' (ZeroPad2d)", "directly before a convolution"),
    "softplus": (lambda: trained(nn.Softplus(beta=2)), ROWS, "'1' (Softplus)", "beta=2"),
    "Linear on maps": (lambda: on_maps(nn.Linear(4, 2)), MAPS, "'1' (Linear)", "the last axis of (3, 2, 4, 4) alone"),
    "flattened in part": (
        lambda: on_maps(nn.Flatten(2)),
        MAPS, "'1' (Flatten)", "can only flatten all axes but the first",
    ),
    "flattened at the end": (lambda: on_maps(nn.Flatten()), MAPS, "'1' (Flatten)", "ends in flattened maps"),
    "pooling of rows": (
        lambda: on_maps(nn.Flatten(), nn.MaxPool1d(2)), MAPS, "'2' (MaxPool1d)", "one axis is left"
    ),
    "residual": (
        lambda: Own(lambda m, x: x + m.a(x), a=nn.Linear(2, 2)),
        ROWS, "'add' (add)", "one chain of operations",
    ),
    "used twice": (
        lambda: Own(lambda m, x: m.a(x) * torch.tanh(x), a=nn.Linear(2, 2)), ROWS, "'tanh' (tanh)", "used twice"
    ),
    "in place": (lambda: Own(lambda m, x: m.a(x).mul_(2), a=nn.Linear(2, 2)), ROWS, "'mul_' (mul_)", "no stage"),
    "two values": (lambda: Own(lambda m, x: (m.a(x), x), a=nn.Linear(2, 2)), ROWS, "'output'", "one chain"),
    "inside out": (
        lambda: Own(lambda m, x: m.b(m.a(x)) if False else m.a(x), a=nn.Linear(2, 2), b=nn.Linear(2, 2)),
        ROWS, "'b' (Linear)", "its parameter 'weight' is that of no layer",
    ),
    "parameter of its own": (
        lambda: Own(lambda m, x: m.a(x) * m.scale, a=nn.Linear(2, 2), scale=nn.Parameter(torch.ones(2))),
        ROWS, "the module (Own)", "its parameter 'scale' is that of no layer",
    ),
    "buffer": (
        lambda: Own(lambda m, x: m.a(x) + torch.arange(2.0), a=nn.Linear(2, 2)),
        ROWS, "'_tensor_constant0'", "outside of a layer",
    ),
    "control flow": (
        lambda: Own(lambda m, x: m.a(x) if x.sum() > 0 else m.a(-x), a=nn.Linear(2, 2)),
        ROWS, "the module (Own)", "cannot be traced by torch.fx",
    ),
    "no layer": (lambda: nn.Sequential(nn.Tanh()), ROWS, "the module (Sequential)", "it has no parameters"),
    "half": (lambda: nn.Sequential(nn.Linear(2, 2)).bfloat16(), ROWS, "'0.weight'", "its dtype is torch.bfloat16"),
    "two dtypes": (mixed, ROWS, "'1.weight'", "it is torch.float64 on cpu, and '0.weight' is torch.float32"),
    "another input": (lambda: nn.Sequential(nn.Linear(3, 2)), ROWS, "the module (Sequential)", "of shape (3, 2)"),
    "two layers of recurrence": (
        lambda: recurrence(lambda m, x: m.last(m.rnn(x)[0]), num_layers=2), SEQUENCES, "'rnn' (RNN)", "num_layers=2"
    ),
    "two directions": (
        lambda: recurrence(lambda m, x: m.last(m.rnn(x)[0]), bidirectional=True),
        SEQUENCES, "'rnn' (RNN)", "bidirectional=True",
    ),
    "recurrence without bias": (
        lambda: recurrence(lambda m, x: m.last(m.rnn(x)[0]), bias=False), SEQUENCES, "'rnn' (RNN)", "bias=False"
    ),
    "first state read": (
        lambda: recurrence(lambda m, x: m.last(m.rnn(x)[0][:, 0])),
        SEQUENCES, "'getitem_1' (indexing)", "the last is read",
    ),
    "recurrence alone": (lambda: nn.RNN(2, 3), SEQUENCES, "", "it gives a pair"),
    "two readers": (
        lambda: Own(lambda m, x: m.b(m.a(m.rnn(x)[0])), rnn=nn.RNN(2, 3), a=nn.Linear(3, 2), b=nn.Linear(2, 2)),
        SEQUENCES, "'b' (Linear)", "one Linear layer, and nothing else",
    ),
    "before a recurrence": (
        lambda: Own(lambda m, x: m.last(m.rnn(torch.tanh(x))[0]), rnn=nn.RNN(2, 3), last=nn.Linear(3, 1)),
        SEQUENCES, "'tanh' (tanh)", "it stands before a recurrence",
    ),
    "cell, backwards": (lambda: steps(states_reversed), SEQUENCES, "'cell' (RNNCell)", "step 0 does not take"),
    "cell, started elsewhere": (
        lambda: steps(started),
        SEQUENCES, "'_tensor_constant0'", "or zeros before its first step",
    ),
    "cell, gated": (lambda: steps(gated), SEQUENCES, "'mul_4' (mul)", "it stands where a state"),
    "cell, a step short": (lambda: steps(short), SEQUENCES, "'cell' (RNNCell)", "it makes 4 steps"),
    "cell, states in another order": (
        lambda: steps(lambda m, x: unrolled(m, x, lambda rows: torch.stack(rows[::-1], 1))),
        SEQUENCES, "'cell' (RNNCell)", "in another order",
    ),
    "cell, stacked along another axis": (
        lambda: steps(lambda m, x: unrolled(m, x, torch.stack)), SEQUENCES, "'cell' (RNNCell)", "along axis 0"
    ),
    "cell without bias": (
        lambda: Own(lambda m, x: m.last(m.cell(x[:, 0])), cell=nn.RNNCell(2, 3, bias=False), last=nn.Linear(3, 1)),
        SEQUENCES, "'cell' (RNNCell)", "bias=False",
    ),
    "cell alone": (
        lambda: Own(lambda m, x: m.cell(x[:, 0]), cell=nn.RNNCell(2, 3)),
        SEQUENCES, "'cell' (RNNCell)", "one Linear layer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_network_is_refused_with_its_name_and_the_reason(case: str) -> None:
    make, shape, name, reason = CASES[case]
    with pytest.raises(UnplaceableModuleError) as caught:
        from_module(make(), inputs(shape, 1, torch.float32))
    first, *advice = str(caught.value).split("\n")
    assert name in first
    assert "cannot be placed: " in first
    assert reason in str(caught.value)
    assert advice
    assert all(advice)


def test_these_modules_are_taken_once_mended() -> None:
    mended: list[tuple[Any, tuple[int, ...]]] = [
        (nn.Sequential(nn.Linear(2, 2)), ROWS),
        (trained(nn.Dropout(0.5)).eval(), ROWS),
        (trained(nn.Softplus()), ROWS),
        (on_maps(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 2)), MAPS),
        (recurrence(lambda m, x: m.last(m.rnn(x)[0][:, -1])), SEQUENCES),
        (steps(lambda m, x: m.last(m.cell(x[:, 0]))), (3, 1, 2)),
        (Recurrent((2, 3, 1), "state", "relu", True), SEQUENCES),
        (Stepwise((2, 3, 1), "each", "tanh", "unbind", False), SEQUENCES),
    ]
    for module, shape in mended:
        from_module(module, inputs(shape, 1, torch.float32))


def test_what_is_no_module_no_batch_or_no_library() -> None:
    with pytest.raises(KindError, match=r"takes a torch\.nn\.Module, not str"):
        from_module("model", inputs(ROWS, 1, torch.float32))
    with pytest.raises(ShapeError, match="data on its first axis"):
        from_module(nn.Linear(2, 2), inputs((2,), 1, torch.float32))
    with pytest.raises(ShapeError, match="came: list"):
        from_module(nn.Linear(2, 2), [[1.0, 2.0]])
    with pytest.raises(UnknownNameError, match="'torch' or 'numpy', not 'jax'"):
        from_module(nn.Linear(2, 2), inputs(ROWS, 1, torch.float32), library="jax")


def test_a_state_dict_that_lacks_a_name() -> None:
    found = from_module(nn.Sequential(nn.Linear(2, 2)), inputs(ROWS, 1, torch.float32))
    with pytest.raises(UnknownNameError, match=r"lacks 0\.bias"):
        found.point({"0.weight": torch.ones(2, 2)})


def test_without_pytorch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module, X = nn.Linear(2, 2), inputs(ROWS, 1, torch.float32)
    net, weights, iota = gk.MLP.from_arrays([np.eye(1)], [np.zeros(1)])
    monkeypatch.setitem(sys.modules, "torch", None)
    for call in (
        lambda: from_module(module, X),
        lambda: to_module(net, weights, iota),
        lambda: kfac_of_module(module, X, None, gk.Gaussian()),
    ):
        with pytest.raises(MissingExtraError, match=r"pip install 'geomkfac\[torch\]'"):
            call()
