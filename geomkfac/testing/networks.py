"""Hypothesis strategies for networks, output metrics and forms, with small integers that shrink."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from geomkfac.arrays import Kind, floating
from geomkfac.metrics import CovectorMetric, DenseTensor
from geomkfac.networks import MLP, AveragePooling, Convolution, ConvolutionalNetwork, Dense, RecurrentNetwork
from geomkfac.networks.network import Network
from geomkfac.spaces import BaseFrame, LinearSpace, Parameterization, Point
from geomkfac.testing.arrays import changes_of_basis, small_arrays
from geomkfac.testing.hypothesis_extra import composite, hypothesis_strategies
from geomkfac.testing.strategies import activations
from geomkfac.theorems.instances.abstract_networks import constant_covector_metric

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def _weights(draw: Callable[[Any], Any], net: Network, iota: Parameterization) -> Point:
    """Weights of small integers in `iota`."""
    ns = net.inputs.kind.default_namespace
    weights: Point = net.weight_space.from_coordinates([draw(small_arrays(ns, one.slots)) for one in net.layers], iota)
    return weights


def networks(
    kind: Kind = floating, *, max_width: int = 3, max_layers: int = 3
) -> SearchStrategy[tuple[MLP, Point, Parameterization]]:
    """A network with its weights, small integers, and the parameterization that they are given in.

    Widths from 1 to `max_width`, one layer to `max_layers`; an activation of the kind on all hidden layers.
    """
    st = hypothesis_strategies()

    def build(draw: Callable[[Any], Any]) -> tuple[MLP, Point, Parameterization]:
        widths = draw(st.lists(st.integers(1, max_width), min_size=2, max_size=max_layers + 1))
        net, iota = MLP.from_widths(tuple(widths), draw(activations(kind, smooth=True)), kind=kind)
        return net, _weights(draw, net, iota), iota

    return composite(build)


def convolutional_networks(
    kind: Kind = floating, *, max_axes: int = 2, max_layers: int = 2
) -> SearchStrategy[tuple[ConvolutionalNetwork, Point, Parameterization]]:
    """A convolutional network with its weights, small integers, and the parameterization that they are given in.

    One or two axes of length 2 to 5; kernels, strides, dilations, borders of every sort, groups, pooling, and
    a dense end or none.  It shrinks to one convolution with a kernel of length 1 on a map of one channel.
    """
    st = hypothesis_strategies()

    def convolution(draw: Callable[[Any], Any], grid: tuple[int, ...], channels: int) -> Convolution:
        border = draw(st.sampled_from(("zeros", "point", "replicate", "circular", "reflect")))
        most = 1 if border != "reflect" or min(grid) > 1 else 0
        padding = tuple((draw(st.integers(0, most)), draw(st.integers(0, most))) for _ in grid)
        padded = [length + a + b for length, (a, b) in zip(grid, padding, strict=True)]
        kernel = tuple(draw(st.integers(1, min(3, length))) for length in padded)
        dilation = tuple(
            draw(st.integers(1, max(1, min(2, (length - 1) // max(1, k - 1)))))
            for length, k in zip(padded, kernel, strict=True)
        )
        groups = draw(st.sampled_from([g for g in (1, 2) if channels % g == 0]))
        point = draw(small_arrays(kind.default_namespace, (channels,))) if border == "point" else border
        stride = tuple(draw(st.integers(1, 2)) for _ in grid)
        width = groups * draw(st.integers(1, 2))
        return Convolution(width, kernel, stride, padding, dilation, groups, point)

    def build(draw: Callable[[Any], Any]) -> tuple[ConvolutionalNetwork, Point, Parameterization]:
        first = tuple(draw(st.lists(st.integers(2, 5), min_size=1, max_size=max_axes)))
        channels = draw(st.integers(1, 2))
        phi = draw(activations(kind, smooth=True))
        stages: list[Any] = [convolution(draw, first, channels)]
        for _ in range(draw(st.integers(0, max_layers - 1))):
            made, _ = ConvolutionalNetwork.from_shape(first, channels, stages, kind=kind)
            grid = made.output_places
            stages.append(phi)
            if draw(st.booleans()) and min(grid) > 1:
                stages.append(AveragePooling(2))
                grid = tuple(length // 2 for length in grid)
            stages.append(Dense(2) if draw(st.booleans()) else convolution(draw, grid, made.outputs.dim))
            if isinstance(stages[-1], Dense):
                break
        net, iota = ConvolutionalNetwork.from_shape(first, channels, stages, kind=kind)
        return net, _weights(draw, net, iota), iota

    return composite(build)


def recurrent_networks(
    kind: Kind = floating, *, max_width: int = 2, max_steps: int = 3
) -> SearchStrategy[tuple[RecurrentNetwork, Point, Parameterization]]:
    """A recurrent network with its weights, small integers, and the parameterization that they are given in.

    Outputs at every step or after the last; an initial state of zeros, another point, or learned.
    """
    st = hypothesis_strategies()

    def build(draw: Callable[[Any], Any]) -> tuple[RecurrentNetwork, Point, Parameterization]:
        n, h, m = (draw(st.integers(1, max_width)) for _ in range(3))
        initial = draw(st.sampled_from(("zeros", "point", "learned")))
        start = draw(small_arrays(kind.default_namespace, (h,))) if initial == "point" else initial
        net, iota = RecurrentNetwork.from_widths(
            n,
            h,
            m,
            draw(st.integers(1, max_steps)),
            draw(activations(kind, smooth=True)),
            initial=start,
            at=draw(st.sampled_from(("every", "last"))),
            kind=kind,
        )
        return net, _weights(draw, net, iota), iota

    return composite(build)


def covector_metrics(frame: BaseFrame, *, max_covectors: int = 3) -> SearchStrategy[CovectorMetric]:
    """Metrics that are the same at every point: one covector to `max_covectors`, of small integer components.

    Coefficients are 1, 2 or 3.  Degenerate ones are among them.
    """
    st = hypothesis_strategies()
    ns, m = frame.space.kind.default_namespace, frame.space.dim

    def build(draw: Callable[[Any], Any]) -> CovectorMetric:
        count = draw(st.integers(1, max_covectors))
        rows = draw(small_arrays(ns, (count, m)))
        weights = ns.ones((count,)) + ns.stack([ns.scalar(draw(st.integers(0, 2))) for _ in range(count)])
        return constant_covector_metric(ns, frame, weights, rows)

    return composite(build)


def forms(space: LinearSpace, frame: Any) -> SearchStrategy[DenseTensor]:
    """Nondegenerate forms ``B^T B`` on a vector space, B an integer change of basis of `frame`; they shrink to 1."""
    return changes_of_basis(space.dim, space.kind, translated=False).map(
        lambda change: DenseTensor.from_coordinates(change[0].mT @ change[0], frame)
    )
