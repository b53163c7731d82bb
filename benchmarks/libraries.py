"""The same network on arrays of NumPy, PyTorch and JAX, through geomkfac itself."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import one_thread
from factors import checked_gap, relative_gap
from problems import Problem
from tables import Record, paragraph, table
from timing import interleaved, medians

import geomkfac as gk

__all__ = ["PACKAGES", "OnArrays", "converters", "lines", "records", "targets"]

PACKAGES = ("torch", "jax")

TEXT = """A softmax network 784-512-512-10 with tanh units, exact Fisher metric, on one thread; the three lines of code
are the same, only the arrays differ. *Solve* is one with factored damping, factorising included. NumPy arrays go to
LAPACK and to symmetric rank-k updates; other libraries compute with their own functions of the array API standard, and
JAX arrays run eagerly, without compilation."""


class OnArrays:
    """A problem on arrays that `convert` makes of NumPy's."""

    def __init__(
        self, problem: Problem, convert: Callable[[Any], Any], wait: Callable[[], None] = lambda: None
    ) -> None:
        matrices, biases = problem.weights()
        self.wait, self.fisher = wait, problem.fisher
        made = gk.MLP.from_arrays(*([convert(x) for x in part] for part in (matrices, biases)), activation="tanh")
        self.net, self.weights, self.iota = made
        inputs, targets = problem.data()
        self.sample = self.iota.sample(convert(inputs), targets)
        self.loss = gk.Categorical().on(self.iota)

    def metric(self) -> Any:
        """All factors."""
        metric = self.net.kfac_metric(self.weights, self.sample, self.loss, fisher=self.fisher)
        self._finish(metric)
        return metric

    def solve(self, metric: Any, dh: Any) -> None:
        """A damped solve, factorising included."""
        step = metric.damped(self.iota.euclidean, 1e-2, "factored").sharp(dh)
        for part in step.coordinates(self.iota):
            self._await(part)

    def _finish(self, metric: Any) -> None:
        for block in metric.coordinates(self.iota).blocks:
            for factor in block.factors:
                self._await(factor)

    def _await(self, array: Any) -> None:
        """JAX returns before it has computed; a GPU too."""
        if hasattr(array, "block_until_ready"):
            array.block_until_ready()
        self.wait()

    def factors(self, metric: Any) -> list[Any]:
        """All factors as NumPy arrays."""
        ns = metric.parts[0].namespace
        return [ns.to_numpy(factor) for block in metric.coordinates(self.iota).blocks for factor in block.factors]


def converters() -> dict[str, Callable[[Any], Any]]:
    """From NumPy arrays to those of every library that is installed."""
    found: dict[str, Callable[[Any], Any]] = {"NumPy": np.asarray}
    if find_spec("torch"):
        import torch

        one_thread.limit_torch()
        found["PyTorch"] = torch.from_numpy
    if find_spec("jax"):
        import jax

        jax.config.update("jax_enable_x64", True)
        found["JAX"] = jax.numpy.asarray
    return found


def records(quick: bool, repeats: int) -> list[Record]:
    """One record for each dtype."""
    widths, batch = ((784, 32, 32, 10), 64) if quick else ((784, 512, 512, 10), 512)
    problems = (Problem("classifier", widths, "exact", batch, dtype) for dtype in ("float32", "float64"))
    return [record for problem in problems for record in _of(problem, repeats)]


def _of(problem: Problem, repeats: int) -> list[Record]:
    runs = {name: OnArrays(problem, convert) for name, convert in converters().items()}
    metrics = {name: one.metric() for name, one in runs.items()}
    gradients = {name: one.net.differential(one.weights, one.sample, one.loss) for name, one in runs.items()}
    own = runs["NumPy"].factors(metrics["NumPy"])
    contestants: dict[str, Any] = {}
    for name, one in runs.items():
        contestants[f"{name}, factors"] = lambda one=one: one.metric
        contestants[f"{name}, solve"] = lambda one=one, name=name: lambda: one.solve(metrics[name], gradients[name])
    gaps = {name: max(map(relative_gap, one.factors(metrics[name]), own)) for name, one in runs.items()}
    for gap in gaps.values():
        checked_gap(problem, gap)
    seconds = medians(interleaved(contestants, repeats=repeats))
    print(problem.dtype, {name: f"{value:.3f}" for name, value in seconds.items()}, flush=True)
    return [
        {"library": name, "dtype": problem.dtype, "gap": gap, "factors": seconds[f"{name}, factors"],
         "solve": seconds[f"{name}, solve"]}
        for name, gap in gaps.items()
    ]  # fmt: skip


def lines(found: list[Record]) -> list[str]:
    """The table and the words around it."""
    rows = []
    for one in found:
        own = next(other for other in found if other["library"] == "NumPy" and other["dtype"] == one["dtype"])
        times = [f"{one[what]:.3f}" for what in ("factors", "solve")]
        ratios = [f"**{one[what] / own[what]:.2f}**" for what in ("factors", "solve")]
        rows.append((one["library"], one["dtype"], *times, *ratios, f"{one['gap']:.0e}"))
    header = ("arrays", "dtype", "factors, s", "solve, s", "factors / NumPy's", "solve / NumPy's", "gap")
    return [*table(header, rows), "", *paragraph(TEXT)]


def targets(found: list[Record]) -> list:
    """None: the design has none."""
    return []
