"""kfac-jax beside geomkfac and curvlinops: the same networks, jitted, on one thread.

Its conventions, from its source and `docs/libraries.md`: W is (in, out), the homogeneous coordinate last, both
factors means over data; `register_squared_error_loss` is a Gaussian of variance 1/2, so that its G is twice ours at
sampled and exact targets.  It needs jax < 0.7 here: 0.0.8 does not run with later ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import one_thread
from factors import checked_gap, relative_gap
from ours import Ours
from problems import Problem, problems
from tables import Record, paragraph, table
from timing import interleaved, medians

__all__ = ["PACKAGES", "lines", "records", "targets"]

PACKAGES = ("torch", "curvlinops-for-pytorch", "kfac-jax", "jax")

MODES = {"exact": "fisher_exact", "sampled": "fisher_gradients"}

TEXT = """The networks of the first section; kfac-jax's estimate of all factors is one jitted function, called once
before it is timed, so that compilation is not counted. Factors are compared for the exact Fisher metric before
anything is timed: of the classifier as it is, of the Gaussian network with its widths divided by 50, as it has one
covector for every output. XLA was told to use one thread (`--xla_cpu_multi_thread_eigen=false
intra_op_parallelism_threads=1`)."""


class KfacJax:
    """A problem as a function of JAX."""

    def __init__(self, problem: Problem) -> None:
        import jax
        import kfac_jax

        jax.config.update("jax_enable_x64", problem.dtype == "float64")
        self.problem, self.jax = problem, jax
        matrices, biases = problem.weights()
        as_jax = jax.numpy.asarray
        parameters = [{"w": as_jax(W.T), "b": as_jax(b)} for W, b in zip(matrices, biases, strict=True)]
        inputs, targets = problem.data()

        def function(parameters: Any, batch: Any) -> Any:
            a, y = batch
            for layer in parameters[:-1]:
                a = jax.numpy.tanh(a @ layer["w"] + layer["b"])
            outputs = a @ parameters[-1]["w"] + parameters[-1]["b"]
            if problem.is_categorical:
                kfac_jax.register_softmax_cross_entropy_loss(outputs, y)
            else:
                kfac_jax.register_squared_error_loss(outputs, y)
            return outputs.sum()

        self.arguments = (parameters, (as_jax(inputs), as_jax(targets)))
        self.estimator = kfac_jax.BlockDiagonalCurvature(function)
        self.key = jax.random.PRNGKey(0)
        self.state = self.estimator.init(self.key, self.arguments, set(), set(), False)
        count, mode = problem.batch, MODES[problem.fisher]

        def update(state: Any, key: Any, arguments: Any) -> Any:
            made = self.estimator.update_curvature_matrix_estimate(state, 0.0, 1.0, 0.0, count, key, arguments, mode)
            return [[factor.value for factor in block.factors] for block in made.blocks_states]

        self.update = jax.jit(update)

    def __call__(self) -> Any:
        """All factors, waited for."""
        return self.jax.block_until_ready(self.update(self.state, self.key, self.arguments))

    def factors(self) -> list[tuple[Any, Any]]:
        """[(A, G), ...], A and G in the order of the layers."""
        return [tuple(np.asarray(factor) for factor in pair) for pair in self()]


def agreement(problem: Problem) -> float:
    """The largest relative gap of a factor, the known scale removed; exact Fisher."""
    ours, peer = Ours(problem), KfacJax(problem)
    scale = 1.0 if problem.is_categorical else 2.0
    pairs = zip(ours.factors(ours.metric()), peer.factors(), strict=True)
    return max(max(relative_gap(A, B), relative_gap(G * scale, H)) for (A, G), (B, H) in pairs)


def records(quick: bool, repeats: int) -> list[Record]:
    """One record for each problem."""
    one_thread.limit_torch()
    from peer import Peer

    found = []
    for problem in problems(quick=quick):
        widths = problem.widths if problem.is_categorical else tuple(max(2, width // 50) for width in problem.widths)
        same = Problem(problem.name, widths, "exact", problem.batch, problem.dtype)
        gap = checked_gap(same, agreement(same))
        ours, peer, other = Ours(problem), Peer(problem), KfacJax(problem)
        other()  # compiled here
        contestants: dict[str, Any] = {
            "geomkfac": lambda ours=ours: ours.metric,
            "curvlinops": lambda peer=peer: peer.operator().compute_kronecker_factors,
            "kfac-jax": lambda other=other: other,
        }
        seconds = medians(interleaved(contestants, repeats=repeats))
        found.append({**problem.described(), "gap": gap, "seconds": seconds})
        to_jax, to_peer = (seconds["geomkfac"] / seconds[name] for name in ("kfac-jax", "curvlinops"))
        print(f"{problem.label:46s} geomkfac/kfac-jax {to_jax:.2f}   geomkfac/curvlinops {to_peer:.2f}", flush=True)
    return found


def lines(found: list[Record]) -> list[str]:
    """The table and the words around it."""
    rows = []
    for one in found:
        seconds = one["seconds"]
        times = (f"{seconds[name]:.3f}" for name in ("geomkfac", "curvlinops", "kfac-jax"))
        ratios = (f"**{seconds['geomkfac'] / seconds[name]:.2f}**" for name in ("curvlinops", "kfac-jax"))
        what = (one[key] for key in ("problem", "fisher", "batch", "dtype"))
        rows.append((*what, *times, *ratios, f"{one['gap']:.0e}"))
    header = ("network", "Fisher", "batch", "dtype", "geomkfac, s", "curvlinops, s", "kfac-jax, s", "/ curvlinops",
              "/ kfac-jax", "gap to kfac-jax")  # fmt: skip
    return [*table(header, rows), "", *paragraph(TEXT)]


def targets(found: list[Record]) -> list:
    """None: the design's are against curvlinops."""
    return []
