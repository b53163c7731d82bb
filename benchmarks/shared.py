"""Layers applied at many places: a convolutional network beside curvlinops, and a recurrent one.

The convolutional network has three convolutions, 5x5, 5x5 and 3x3, of 32, 32 and 64 maps, and a softmax layer, on
pictures of 32 by 32 pixels and three channels.  'pooled' takes means over 2x2 after each; 'plain' keeps all maps at
32x32, and a mean over 8x8 before the softmax alone.  The recurrence has 64 units over 100 steps; curvlinops has none.
"""

from __future__ import annotations

import itertools
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from timing import interleaved, medians

import geomkfac as gk
from geomkfac.interop import channel_major

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside its dependencies
    from curvlinops import KFACLinearOperator

__all__ = ["memory_of_maps", "shared_records"]

FISHER = {"exact": "type-2", "sampled": "mc", "empirical": "empirical"}
CLASSES = 10


class Convolutions:
    """The convolutional network, ours and curvlinops'."""

    def __init__(self, pooled: bool, batch: int, dtype: str, *, size: int = 32, maps: tuple[int, ...] = (32, 32, 64)):
        rng = np.random.default_rng(0)
        self.batch, self.dtype, self.size = batch, dtype, size
        kernels, widths = (5, 5, 3), (3, *maps)
        self.stages: list[Any] = []
        Ws, bs = [], []
        for (J, m), k in zip(itertools.pairwise(widths), kernels, strict=True):
            Ws.append((rng.standard_normal((m, J, k, k)) / (J * k * k) ** 0.5).astype(dtype))
            bs.append((0.1 * rng.standard_normal(m)).astype(dtype))
            self.stages += [gk.Convolution(padding=k // 2), "tanh", *([gk.AveragePooling(2)] if pooled else [])]
        if not pooled:
            self.stages.append(gk.AveragePooling(8))
        inputs = maps[-1] * (size // 8) ** 2
        Ws.append((rng.standard_normal((CLASSES, inputs)) / inputs**0.5).astype(dtype))
        bs.append((0.1 * rng.standard_normal(CLASSES)).astype(dtype))
        self.stages.append(gk.Dense())
        self.arrays = Ws, bs
        self.net, self.weights, self.iota = gk.ConvolutionalNetwork.from_arrays(Ws, bs, (size, size), self.stages)
        self.X = rng.random((batch, size, size, 3)).astype(dtype)
        self.y = rng.integers(0, CLASSES, batch)
        self.sample, self.loss = self.iota.sample(self.X, self.y), gk.Categorical().on(self.iota)

    def metric(self, fisher: str) -> Any:
        """All our factors."""
        return self.net.kfac_metric(self.weights, self.sample, self.loss, fisher=fisher)

    def operator(self, fisher: str) -> Any:
        """A fresh operator of curvlinops, its factors not yet computed."""
        if not hasattr(self, "model"):
            self.model = self._model()
            X = torch.from_numpy(np.ascontiguousarray(np.moveaxis(self.X, -1, 1)))
            self.data = [(X, torch.from_numpy(self.y))]
        return KFACLinearOperator(
            self.model,
            torch.nn.CrossEntropyLoss(),
            list(self.model.parameters()),
            self.data,
            check_deterministic=False,
            fisher_type=FISHER[fisher],
            kfac_approx="expand",
            separate_weight_and_bias=False,
            num_data=self.batch,
            num_per_example_loss_terms=1,
        )

    def _model(self) -> torch.nn.Sequential:
        modules: list[torch.nn.Module] = []
        left = list(zip(*self.arrays, strict=True))
        dtype = getattr(torch, self.dtype)
        for stage in self.stages:
            if stage == "tanh":
                modules.append(torch.nn.Tanh())
                continue
            if isinstance(stage, gk.AveragePooling):
                modules.append(torch.nn.AvgPool2d(stage.window))
                continue
            W, b = left.pop(0)
            if isinstance(stage, gk.Dense):
                modules.append(torch.nn.Flatten())
                layer: Any = torch.nn.Linear(W.shape[1], W.shape[0], dtype=dtype)
            else:
                layer = torch.nn.Conv2d(W.shape[1], W.shape[0], W.shape[2], padding=stage.padding, dtype=dtype)
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(W))
                layer.bias.copy_(torch.from_numpy(b))
            modules.append(layer)
        return torch.nn.Sequential(*modules)

    def gap(self, fisher: str) -> float:
        """The largest relative gap between factors of both libraries; sampled ones are compared at given targets."""
        kind = fisher if fisher == "exact" else "empirical"
        operator = self.operator(kind)
        operator.compute_kronecker_factors()
        names = [name for name, module in self.model.named_modules() if hasattr(module, "weight")]
        gaps = []
        blocks = self.metric(kind).coordinates(self.iota).blocks
        for name, layer, block in zip(names, self.net.layers, blocks, strict=True):
            A, G = block.factors
            pairs = (
                (channel_major(A, layer.domain.places), operator._input_covariances[name].numpy()),
                (G, operator._gradient_covariances[name].numpy()),
            )
            gaps += [float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)) for ours, theirs in pairs]
        return max(gaps)


class Recurrence:
    """The recurrent network."""

    def __init__(self, at: str, batch: int, dtype: str, *, units: int = 64, steps: int = 100):
        rng = np.random.default_rng(0)

        def drawn(*shape: int) -> Any:
            return (rng.standard_normal(shape) / shape[-1] ** 0.5).astype(dtype)

        Ws, bs = (
            [drawn(units, units), drawn(units, 16), drawn(CLASSES, units)],
            [drawn(units), drawn(units), drawn(CLASSES)],
        )
        self.net, self.weights, self.iota = gk.RecurrentNetwork.from_arrays(Ws, bs, steps, at=at)
        y = rng.integers(0, CLASSES, (batch, steps) if at == "every" else batch)
        self.sample = self.iota.sample(rng.standard_normal((batch, steps, 16)).astype(dtype), y)
        self.loss = gk.Categorical().on(self.iota)

    def metric(self, fisher: str) -> Any:
        """All factors."""
        return self.net.kfac_metric(self.weights, self.sample, self.loss, fisher=fisher)


def shared_records(quick: bool, repeats: int) -> Iterator[dict[str, Any]]:
    """One record for each network, Fisher metric and dtype."""
    batch, sizes = (8, {"size": 16, "maps": (4, 4, 8)}) if quick else (128, {})
    for dtype, pooled in itertools.product(("float32", "float64"), (True, False)):
        problem = Convolutions(pooled, batch, dtype, **sizes)  # type: ignore[arg-type]
        for fisher in ("exact", "sampled"):
            gap = problem.gap(fisher)
            # Sums over all places of a batch, of patches of at most 800 entries, three layers forth and back.
            terms = batch * problem.size**2 + 6 * 800
            if not gap < terms * float(np.finfo(dtype).eps):
                raise SystemExit(f"the factors of both libraries differ by {gap:.1e}; nothing is timed.")
            contestants: dict[str, Callable[[], Any]] = {
                "geomkfac": lambda problem=problem, fisher=fisher: lambda: problem.metric(fisher),
                "curvlinops": lambda problem=problem, fisher=fisher: problem.operator(fisher).compute_kronecker_factors,
            }
            name = f"convolutions, {'pooled' if pooled else 'plain'}"
            yield _record(name, fisher, batch, dtype, gap, medians(interleaved(contestants, repeats=repeats)))
    for dtype, at, fisher in itertools.product(("float32", "float64"), ("last", "every"), ("exact", "sampled")):
        one = Recurrence(at, batch, dtype, **({"units": 8, "steps": 10} if quick else {}))  # type: ignore[arg-type]
        alone = {"geomkfac": lambda one=one, fisher=fisher: lambda: one.metric(fisher)}
        seconds = medians(interleaved(alone, repeats=repeats))
        yield _record(f"recurrence, loss at {at}", fisher, batch, dtype, None, seconds)


def _record(
    name: str, fisher: str, batch: int, dtype: str, gap: float | None, seconds: dict[str, float]
) -> dict[str, Any]:
    line = f"{name + ', ' + fisher + ', ' + dtype:50s}"
    if "curvlinops" in seconds:
        line += f" geomkfac/curvlinops {seconds['geomkfac'] / seconds['curvlinops']:.2f}"
    else:
        line += f" {seconds['geomkfac']:.3f} s"
    print(line, flush=True)
    return {"problem": name, "fisher": fisher, "batch": batch, "dtype": dtype, "gap": gap, "seconds": seconds}


def memory_of_maps(quick: bool) -> list[dict[str, Any]]:
    """Peak beyond inputs and factors as the batch grows, of the plain convolutions, in both dtypes."""
    rows = []
    sizes: dict[str, Any] = {"size": 16, "maps": (4, 4, 8)} if quick else {}
    for dtype, count in itertools.product(("float32", "float64"), (16, 32, 64) if quick else (64, 128, 256)):
        problem = Convolutions(False, count, dtype, **sizes)
        kept = problem.metric("sampled")
        factors = sum(f.nbytes for block in kept.coordinates(problem.iota).blocks for f in block.factors)
        del kept
        tracemalloc.start()
        kept = problem.metric("exact")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        del kept
        rows.append(
            {
                "problem": f"convolutions, plain, {dtype}",
                "fisher": "exact",
                "data": count,
                "inputs": problem.X.nbytes,
                "factors": factors,
                "beyond": peak - factors,
            }
        )
    return rows
