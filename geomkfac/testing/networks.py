"""Hypothesis strategies for networks, output metrics and forms, with small integers that shrink."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from geomkfac.arrays import Array, Kind, floating
from geomkfac.metrics import CovectorMetric, DenseTensor
from geomkfac.networks import MLP
from geomkfac.spaces import BaseFrame, LinearSpace, Parameterization, Point
from geomkfac.testing.arrays import changes_of_basis, small_arrays
from geomkfac.testing.hypothesis_extra import hypothesis_strategies
from geomkfac.testing.strategies import activations

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["covector_metrics", "forms", "networks"]


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
        arrays = [draw(small_arrays(kind.default_namespace, layer.slots)) for layer in net.layers]
        weights: Point = net.weight_space.from_coordinates(arrays, iota)
        return net, weights, iota

    strategy: SearchStrategy[tuple[MLP, Point, Parameterization]] = st.composite(build)()
    return strategy


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

        def family(points: Array) -> tuple[Array, Array]:
            batch = tuple(points.shape)[:-1]
            ones = (1,) * len(batch)
            return (
                ns.broadcast_to(ns.reshape(weights, (count, *ones)), (count, *batch)),
                ns.broadcast_to(ns.reshape(rows, (count, *ones, m)), (count, *batch, m)),
            )

        return CovectorMetric(frame, family)

    strategy: SearchStrategy[CovectorMetric] = st.composite(build)()
    return strategy


def forms(space: LinearSpace, frame: Any) -> SearchStrategy[DenseTensor]:
    """Nondegenerate forms ``B^T B`` on a vector space, B an integer change of basis of `frame`; they shrink to 1."""
    return changes_of_basis(space.dim, space.kind, translated=False).map(
        lambda change: DenseTensor.from_coordinates(change[0].mT @ change[0], frame)
    )
