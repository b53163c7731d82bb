"""PyTorch modules that Hypothesis draws, and how far rounding can carry two computations of one apart."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
import pytest

from geomkfac import maps

torch: Any = pytest.importorskip("torch")
nn: Any = torch.nn

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
MODES = {"Zero": "zeros", "Reflection": "reflect", "Replication": "replicate", "Circular": "circular"}


def filled(module: Any, seed: int, dtype: Any) -> Any:
    """The module in evaluation, with parameters of variance 1/4 that depend on the seed alone."""
    generator = torch.Generator().manual_seed(seed)
    module = module.to(dtype).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 2)
    return module


def inputs(shape: Any, seed: int, dtype: Any) -> Any:
    """Standard normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


THERE = {name: phi.pytorch for name, phi in maps.ACTIVATIONS.items() if phi.pytorch and phi.pytorch.function}
ACTIVATIONS = [
    *(partial(getattr(nn, there.module), **there.settings) for there in THERE.values()),
    lambda: nn.ReLU(inplace=True), lambda: nn.LeakyReLU(0.2), lambda: nn.ELU(0.5), lambda: nn.ELU(inplace=True),
]  # fmt: skip
STEEPEST = 1.13
"""The largest slope of these: that of GELU."""


# -- feed-forward ------------------------------------------------------------------------------------------
def activation(draw: Any) -> list[Any]:
    """One activation, perhaps with something that does nothing."""
    made = draw(st.sampled_from(ACTIVATIONS))()
    return [made, *draw(st.sampled_from([[], [], [nn.Identity()], [nn.Dropout(0.5)]]))]


def nested(draw: Any, parts: list[Any]) -> Any:
    """The parts in a Sequential, some of them in another one inside."""
    first = draw(st.integers(0, len(parts)))
    second = draw(st.integers(first, len(parts)))
    inner = [nn.Sequential(*parts[first:second])] if second > first else []
    return nn.Sequential(*parts[:first], *inner, *parts[second:])


@st.composite
def fully_connected(draw: Any) -> tuple[Any, tuple[int, ...]]:
    """A module of Linear layers and the shape of its inputs."""
    widths = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    shape: tuple[int, ...] = (3, widths[0])
    parts: list[Any] = []
    if draw(st.booleans()):
        shape, parts = (3, widths[0], 1, 1), [nn.Flatten()]
    for source, target in pairwise(widths):
        parts += [nn.Linear(source, target), *(activation(draw) if draw(st.booleans()) else [])]
    return nested(draw, parts), shape


def convolution(draw: Any, grid: tuple[int, ...], channels: int) -> tuple[list[Any], tuple[int, ...], int]:
    """A convolution, perhaps behind a padding module; the grid and the channels that it gives."""
    axes = len(grid)
    kernel = tuple(draw(st.integers(1, min(3, n))) for n in grid)
    dilation = tuple(1 if n < 2 * k else draw(st.integers(1, 2)) for n, k in zip(grid, kernel, strict=True))
    stride = tuple(draw(st.integers(1, 2)) for _ in grid)
    mode = draw(st.sampled_from(list(MODES)))
    most = 1 if mode != "Reflection" or min(grid) > 1 else 0
    groups = draw(st.sampled_from([g for g in (1, 2) if channels % g == 0]))
    width = groups * draw(st.integers(1, 2))
    how = draw(st.sampled_from(["module", "numbers", "none", "same", "valid"]))
    parts, padding, widths = [], 0, [(0, 0)] * axes
    if how == "module":
        widths = [(draw(st.integers(0, most)), draw(st.integers(0, most))) for _ in grid]
        flat = [width for pair in reversed(widths) for width in pair]
        if mode == "Zero" and draw(st.booleans()):
            parts = [getattr(nn, f"ConstantPad{axes}d")(flat, draw(st.sampled_from([0.5, -1.0])))]
        else:
            parts = [getattr(nn, f"{mode}Pad{axes}d")(flat)]
    elif how == "numbers":
        padding = tuple(draw(st.integers(0, most)) for _ in grid)
        widths = [(width, width) for width in padding]
    elif how == "same":
        # PyTorch pads kernels of even length on one side, and warns of it.
        kernel = tuple(k - 1 if k % 2 == 0 else k for k in kernel)
        padding, stride, dilation = "same", (1,) * axes, (1,) * axes
        widths = [((k - 1) // 2, (k - 1) // 2) for k in kernel]
        mode = "Zero"
    elif how == "valid":
        padding = "valid"
    own = MODES[mode] if how == "numbers" else "zeros"
    layer = getattr(nn, f"Conv{axes}d")(channels, width, kernel, stride, padding, dilation, groups, padding_mode=own)
    out = tuple(
        (n + sum(pair) - d * (k - 1) - 1) // s + 1
        for n, pair, d, k, s in zip(grid, widths, dilation, kernel, stride, strict=True)
    )
    return [*parts, layer], out, width


@st.composite
def convolutional(draw: Any) -> tuple[Any, tuple[int, ...]]:
    """A module of ConvNd layers, pooling, and perhaps a Linear end; and the shape of its inputs."""
    axes = draw(st.integers(1, 3))
    shape = grid = tuple(draw(st.integers(3, 5 if axes < 3 else 3)) for _ in range(axes))
    channels = first = draw(st.integers(1, 3))
    parts: list[Any] = []
    for _ in range(draw(st.integers(1, 2))):
        more, grid, channels = convolution(draw, grid, channels)
        pool, pooling = draw(st.sampled_from(["Avg", "Max", ""])), []
        if pool and min(grid) > 1:
            step = draw(st.integers(1, 2))
            pooling = [getattr(nn, f"{pool}Pool{axes}d")(2, step)]
            grid = tuple((n - 2) // step + 1 for n in grid)
        behind = draw(st.booleans())
        parts += [*more, *pooling * (not behind), *activation(draw), *pooling * behind]
    end = draw(st.sampled_from(["maps", "flatten", "adaptive"]))
    if end == "adaptive":
        parts.append(getattr(nn, f"AdaptiveAvgPool{axes}d")(1))
        grid = (1,) * axes
    if end != "maps":
        count = channels
        for n in grid:
            count *= n
        parts += [nn.Flatten(), nn.Linear(count, 2)]
    return nested(draw, parts), (3, first, *shape)


# -- recurrent ---------------------------------------------------------------------------------------------
class Recurrent(nn.Module):  # type: ignore[misc]
    """nn.RNN and a Linear layer: `at` is 'every', 'last' (of all states), or 'state' (the second value)."""

    def __init__(self, sizes: tuple[int, int, int], at: str, nonlinearity: str, batch_first: bool) -> None:
        super().__init__()
        n, h, m = sizes
        self.rnn = nn.RNN(n, h, nonlinearity=nonlinearity, batch_first=batch_first)
        self.reading = nn.Linear(h, m)
        self.at, self.batch_first = at, batch_first

    def forward(self, x: Any) -> Any:
        states, last = self.rnn(x)
        if self.at == "every":
            return self.reading(states)
        if self.at == "last":
            return self.reading(states[:, -1] if self.batch_first else states[-1])
        return self.reading(last[0])


class Stepwise(nn.Module):  # type: ignore[misc]
    """nn.RNNCell in a loop: `how` is 'index', 'iterate' or 'unbind'; `at` is 'last', 'stack' or 'each'."""

    def __init__(self, sizes: tuple[int, int, int], at: str, nonlinearity: str, how: str, zeros: bool) -> None:
        super().__init__()
        n, h, m = sizes
        self.cell = nn.RNNCell(n, h, nonlinearity=nonlinearity)
        self.reading = nn.Linear(h, m)
        self.at, self.how, self.zeros, self.width = at, how, zeros, h

    def forward(self, x: Any) -> Any:
        axis = 0 if self.how == "iterate" else 1
        if self.how == "index":
            steps: Any = (x[:, t] for t in range(x.size(1)))
        else:
            steps = x if self.how == "iterate" else x.unbind(1)
        state = torch.zeros(x.shape[1 - axis], self.width, dtype=x.dtype) if self.zeros else None
        found = []
        for row in steps:
            state = self.cell(row, state)
            found.append(self.reading(state) if self.at == "each" else state)
        if self.at == "last":
            return self.reading(state)
        stacked = torch.stack(found, dim=axis)
        return stacked if self.at == "each" else self.reading(stacked)


@st.composite
def recurrent(draw: Any) -> tuple[Any, tuple[int, ...]]:
    """A recurrence as a module, and the shape of its inputs."""
    sizes = tuple(draw(st.integers(1, 3)) for _ in range(3))
    steps, phi = draw(st.integers(1, 4)), draw(st.sampled_from(["tanh", "relu"]))
    if draw(st.booleans()):
        batch_first = draw(st.booleans())
        module: Any = Recurrent(sizes, draw(st.sampled_from(["every", "last", "state"])), phi, batch_first)
    else:
        how = draw(st.sampled_from(["index", "iterate", "unbind"]))
        module = Stepwise(sizes, draw(st.sampled_from(["last", "stack", "each"])), phi, how, draw(st.booleans()))
        batch_first = how != "iterate"
    return module, (3, steps, sizes[0]) if batch_first else (steps, 3, sizes[0])


def modules() -> Any:
    """Any module that has a network, and the shape of its inputs: three data."""
    return st.one_of(fully_connected(), convolutional(), recurrent())


# -- models without a network -----------------------------------------------------------------------------
class Residual(nn.Module):  # type: ignore[misc]
    """A convolution, batch normalisation, a sum of two branches, layer normalisation, and no bias in one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 3, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.second = nn.Conv2d(3, 3, 3, padding=1, stride=1)
        self.layer_norm = nn.LayerNorm(3)
        self.last = nn.Linear(3, 4)

    def forward(self, x: Any) -> Any:
        x = nn.functional.gelu(self.norm(self.first(x)))
        x = x + torch.tanh(self.second(x))
        return self.last(self.layer_norm(x.mean(dim=(2, 3))))


class Attention(nn.Module):  # type: ignore[misc]
    """One head of attention over a sequence, with an output at every step or one for all."""

    def __init__(self, pooled: bool) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(3, 2), nn.Linear(3, 2, bias=False), nn.Linear(3, 3)
        self.last, self.pooled = nn.Linear(3, 2), pooled

    def forward(self, x: Any) -> Any:
        scores = self.query(x) @ self.key(x).mT
        x = x + torch.softmax(scores, dim=-1) @ self.value(x)
        return self.last(x.mean(dim=1) if self.pooled else x)


# -- rounding ----------------------------------------------------------------------------------------------
def leaves(module: Any) -> list[Any]:
    """The modules of nested Sequentials, in order."""
    if not isinstance(module, nn.Sequential):
        return [module]
    return [leaf for part in module for leaf in leaves(part)]


def absolute(layer: Any) -> Any:
    """A copy of a layer with absolute values in place of its numbers."""
    copy = type(layer).__new__(type(layer))
    nn.Module.__init__(copy)
    own = ("_parameters", "_buffers")
    copy.__dict__.update({key: value for key, value in layer.__dict__.items() if key not in own})
    copy._parameters = {key: None if p is None else p.detach().abs() for key, p in layer._parameters.items()}
    copy._buffers = {key: None if b is None else b.abs() for key, b in layer._buffers.items()}
    return copy


def without_constants(layer: Any) -> Any:
    """A copy of a layer's absolute values, without what it adds."""
    copy = absolute(layer)
    for store in (copy._parameters, copy._buffers):
        for name in ("bias", "translation", "border"):
            if store.get(name) is not None:
                store[name] = torch.zeros_like(store[name])
    return copy


@torch.no_grad()  # type: ignore[misc]
def rounding(module: Any, x: Any, weights: float = 0.0) -> Any:
    """How far two computations of the module's outputs can stand apart, entry by entry.

    A sum of n products, in any order, is off by at most n + 1 roundings of the same sum of absolute values; an
    activation by a few of its own, and its slope is at most `STEEPEST`; later layers carry errors on by their
    absolute values.

    Parameters
    ----------
    weights : relative error of the parameters themselves, in roundings
    """
    if isinstance(module, Recurrent | Stepwise):
        return _rounding_of_a_recurrence(module, x)
    unit = torch.finfo(x.dtype).eps
    value, error = x, torch.zeros_like(x)
    for leaf in leaves(module):
        if "Pad" in type(leaf).__name__:
            error = leaf(error) if not hasattr(leaf, "value") else nn.functional.pad(error, leaf.padding)
            value = leaf(value)
            continue
        # In place nothing may be lost of what is needed here.
        after = leaf(value.clone())
        parts = [*leaf._parameters.values(), *leaf._buffers.values()]
        if parts:
            count = max(part[0].numel() for part in parts if part is not None) + 2 + weights
            error = without_constants(leaf)(error) + count * unit * absolute(leaf)(value.abs())
        elif "Pool" in type(leaf).__name__:
            error = leaf(error) + value[0, 0].numel() * unit * leaf(value.abs())
        elif isinstance(leaf, nn.Flatten):
            error = leaf(error)
        elif not isinstance(leaf, nn.Identity | nn.Dropout):
            error = STEEPEST * error + 8 * unit * (1 + after.abs())
        value = after
    return 2 * error


def _rounding_of_a_recurrence(module: Any, x: Any) -> Any:
    """The same, in maximum norms."""
    norm = lambda W: float(W.abs().sum(dim=1).max())  # noqa: E731
    own = module.rnn if isinstance(module, Recurrent) else module.cell
    W, V, b, c = (p.detach() for p in sorted_of(own))
    batch_first = module.batch_first if isinstance(module, Recurrent) else module.how != "iterate"
    steps = x.shape[1] if batch_first else x.shape[0]
    unit, count = torch.finfo(x.dtype).eps, W.shape[0] + V.shape[1] + 8
    state, error = 0.0, 0.0
    for _ in range(steps):
        size = 1 + norm(W) * state + norm(V) * float(x.abs().max()) + float(b.abs().max() + c.abs().max())
        error, state = norm(W) * error + count * unit * size, size
    reading = module.reading
    size = norm(reading.weight.detach()) * state + float(reading.bias.detach().abs().max())
    return 2 * (norm(reading.weight.detach()) * error + count * unit * size)


def sorted_of(rnn: Any) -> list[Any]:
    """weight_hh, weight_ih, bias_hh, bias_ih of a recurrence or a cell."""
    suffix = "_l0" if isinstance(rnn, nn.RNN) else ""
    return [getattr(rnn, f"{sort}_{which}{suffix}") for sort in ("weight", "bias") for which in ("hh", "ih")]


def targets_of(family: str, outputs: Any, seed: int) -> Any:
    """Targets for outputs (N, m, *places)."""
    generator = torch.Generator().manual_seed(seed)
    if family == "categorical":
        return torch.randint(outputs.shape[1], (outputs.shape[0], *outputs.shape[2:]), generator=generator)
    if family == "bernoulli":
        return torch.randint(2, outputs.shape, generator=generator)
    return torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype)


# -- factors -----------------------------------------------------------------------------------------------
def roundings(module: Any, X: Any, found: dict[str, tuple[Any, Any]]) -> float:
    """A bound on the error of a factor: roundings of sums over data and places, carried through the layers.

    Every layer multiplies sizes and errors by at most its sums of absolute values, forward and back.
    """
    growth, count = 1.0, X.numel()
    for part in module.modules():
        own = [
            p.detach().abs().flatten(1).sum(dim=1).max()
            for p in part._parameters.values()
            if p is not None and p.ndim > 1
        ]
        back = [
            p.detach().abs().flatten(1).sum(dim=0).max()
            for p in part._parameters.values()
            if p is not None and p.ndim > 1
        ]
        for one in (own, back):
            growth *= max(1.0, *(1 + float(n) for n in one)) if one else 1.0
        count += sum(p.numel() for p in part._parameters.values() if p is not None)
    largest = max(float(factor.abs().max()) for pair in found.values() for factor in pair)
    return float(torch.finfo(X.dtype).eps) * count * growth**2 * max(1.0, largest)


def same(left: dict[str, tuple[Any, Any]], right: dict[str, tuple[Any, Any]], bound: float) -> bool:
    return left.keys() == right.keys() and all(
        a.shape == b.shape and bool(((a - b).abs() <= bound).all())
        for name in left
        for a, b in zip(left[name], right[name], strict=True)
    )
