"""The modules of PyTorch that geomkfac's networks know, one by one: as stages, or refused with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from geomkfac.interop.pytorch import activations as torch_activations
from geomkfac.interop.pytorch.chain import Link
from geomkfac.interop.pytorch.support import refusal
from geomkfac.networks.building.architecture import AveragePooling, Convolution, MaxPooling

NOTHING = {"Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"}
SHAPES = {"Flatten"}
LAYERS = {"Linear", "Conv1d", "Conv2d", "Conv3d"}
POOLS = {f"{sort}Pool{axes}d" for sort in ("Avg", "Max", "AdaptiveAvg") for axes in (1, 2, 3)}
PADS = {
    f"{sort}Pad{axes}d" for sort in ("Zero", "Constant", "Reflection", "Replication", "Circular") for axes in (1, 2, 3)
}
KNOWN = {*torch_activations.KNOWN, *NOTHING, *SHAPES, *LAYERS, *POOLS, *PADS, "RNN", "RNNCell"}

FUNCTIONS = {
    **torch_activations.FUNCTIONS,
    "dropout": "Dropout",
    **{
        f"{kind}_pool{axes}d": f"{name}Pool{axes}d"
        for kind, name in (("avg", "Avg"), ("max", "Max"), ("adaptive_avg", "AdaptiveAvg"))
        for axes in (1, 2, 3)
    },
}
POSITIONS = {
    "dropout": ("p", "training", "inplace"),
    "avg_pool": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    "max_pool": ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    "adaptive_avg_pool": ("output_size",),
}
"""Names of the arguments of functions where they are not in the order of the module's."""

ADVICE = {
    "Softmax": "Leave it out: the family Categorical() takes logits.",
    "LogSoftmax": "Leave it out: the family Categorical() takes logits.",
}


def check_module(name: str, part: Any) -> None:
    """Refuse a module that no network has, or that does something else while it trains.

    Raises
    ------
    UnplaceableModuleError
    """
    nn = import_module("torch").nn
    kind = type(part).__name__
    if kind not in KNOWN or type(part) is not getattr(nn, kind, None):
        more = {"advice": ADVICE[kind]} if kind in ADVICE else {}
        if kind.startswith("BatchNorm") and part.training:
            raise refusal(
                name, part, "while it trains it mixes the data of a batch, and so a datum has no output of its own",
                "Call module.eval(), and take `kfac_of_module`.",
            )  # fmt: skip
        raise refusal(
            name, part, f"geomkfac's networks have no such part; they have {', '.join(sorted(KNOWN))}, of exactly "
            "these types", **more,
        )  # fmt: skip
    if kind in NOTHING and kind != "Identity" and part.training and part.p:
        raise refusal(
            name, part, "while it trains it drops activations at random, and the network would be no function",
            "Call module.eval() first.",
        )  # fmt: skip
    if kind in LAYERS and part.bias is None:
        raise refusal(
            name, part, "it has no bias. A layer of geomkfac is an affine map, whatever the origins are; without a "
            "bias it would be one that sends one origin to another",
            "Give it a bias of zeros, or take `kfac_of_module`.",
        )  # fmt: skip


def as_module(link: Link) -> Any:
    """The module that does what a link does: itself, or one for a function; None where there is none."""
    if not isinstance(link.operation, str):
        return link.operation
    kind = FUNCTIONS.get(link.operation)
    if kind is None:
        return None
    names = POSITIONS.get(link.operation.rstrip("123d").rstrip("_") if "pool" in link.operation else link.operation)
    arguments = link.arguments if names is None else ()
    given = {**dict(zip(names or (), link.arguments, strict=False)), **link.keywords}
    training = given.pop("training", True)
    given.pop("inplace", None)
    made = getattr(import_module("torch").nn, kind)(*arguments, **given).train(bool(training))
    check_module(link.name, made)
    return made


def is_nothing(part: Any) -> bool:
    """Whether a module that has been checked does nothing."""
    return type(part).__name__ in NOTHING


def convolution_of(name: str, part: Any, pending: tuple[Any, Any] | None) -> Convolution:
    """The stage of an nn.ConvNd.

    Parameters
    ----------
    pending : (widths, border) of a padding module before it, or None
    """
    padding, border = part.padding, part.padding_mode
    if pending is not None:
        own = isinstance(padding, str) and padding != "valid"
        if own or (not isinstance(padding, str) and any(padding)):
            raise refusal(name, part, "a padding module stands before it, and it pads itself too")
        padding, border = pending
    kernel, stride, dilation = tuple(part.kernel_size), tuple(part.stride), tuple(part.dilation)
    return Convolution(part.out_channels, kernel, stride, padding, dilation, part.groups, border)


def padding_of(part: Any, channels: int) -> tuple[Any, Any] | None:
    """``(widths, border)`` of a padding module, (before, after) for every axis; None for other modules."""
    kind = type(part).__name__
    if kind not in PADS:
        return None
    flat = part.padding
    widths = tuple((flat[2 * k], flat[2 * k + 1]) for k in reversed(range(len(flat) // 2)))
    borders = {"Zero": "zeros", "Reflection": "reflect", "Replication": "replicate", "Circular": "circular"}
    sort = kind[: -len("Pad1d")]
    return widths, borders[sort] if sort in borders else np.full(channels, float(part.value))


def pooling_of(name: str, part: Any, grid: Sequence[int]) -> AveragePooling | MaxPooling | None:
    """The stage of a pooling module on maps of this grid; None for other modules."""
    kind = type(part).__name__
    if kind not in POOLS:
        return None
    axes = len(grid)
    if kind.startswith("Adaptive"):
        out = [length if n is None else n for n, length in zip(_each(part.output_size, axes), grid, strict=True)]
        if any(length % n for length, n in zip(grid, out, strict=True)):
            raise refusal(
                name, part, f"windows of one length are needed, and {tuple(grid)} is no multiple of {tuple(out)}"
            )
        return AveragePooling(tuple(length // n for length, n in zip(grid, out, strict=True)))
    for option, plain, why in (
        ("padding", 0, "a border of zeros or of nothing is no point that a change of basis carries along"),
        ("ceil_mode", False, "its last windows stand over the border"),
        ("divisor_override", None, "what it takes are no means"),
        ("dilation", 1, "its windows have holes"),
        ("return_indices", False, "it gives two values"),
    ):
        value = getattr(part, option, plain)
        if value != plain and (option == "ceil_mode" or _each(value, axes) != _each(plain, axes)):
            raise refusal(name, part, f"{option}={value}: {why}")
    window = _each(part.kernel_size, axes)
    stride = _each(part.stride, axes)
    return AveragePooling(window, stride) if kind.startswith("Avg") else MaxPooling(window, stride)


def _each(value: Any, axes: int) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,) * axes
