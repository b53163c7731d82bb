"""Changes of basis: of all factors and of a step, into bases of several kinds, as shares of computing the factors."""

from __future__ import annotations

from typing import Any

import numpy as np
from ours import Ours
from problems import Problem, problems
from tables import Record, Target, paragraph, table
from timing import interleaved, medians

__all__ = ["PACKAGES", "lines", "records", "targets"]

PACKAGES = ()

BASES = ("centred", "diagonal", "permuted", "whitened", "random")

STRUCTURED = ("centred", "diagonal", "permuted")

TEXT = """Each basis changes every space of the network. *Centred* moves the origins of the activations to their
means, *diagonal* changes units, *permuted* reorders coordinates and moves origins; *whitened* and *random* are full
matrices. The first number is the change of the whole metric, that is of all its factors; the second that of a step.
No Kronecker product is formed, identity parts are not multiplied, and diagonal or permuted matrices only pick and
scale: these changes pass over each number a few times, as computing the factors passes over it at least once for
every n data, n the width. Where n data or fewer are given that is several percent.

A full matrix takes products. A factor of size n changes by B A B^T: two products are 4 n^3 operations; with a
Cholesky factor of A, B A B^T = (B L)(B L)^T takes 7/3 n^3, and where A is degenerate (as it is for fewer data than n)
3.25 n^3, the second product being made on one side of the diagonal. Computing the factor from N data is N n^2 for its
rank-k update and about twice as much again for the passes. So the share is of the order of n / N, falls in proportion
as data are added, and is a few percent where N is some tens of times n. Also the basis that whitens this very metric
is no exception: that its factors are identities there is a statement about exact arithmetic, and what is shown is
computed."""


def records(quick: bool, repeats: int) -> list[Record]:
    """Median seconds for each problem."""
    chosen = [p for p in problems(quick=quick) if p.fisher == "exact" or p.name == "autoencoder"]
    return [_record(problem, repeats) for problem in chosen]


def _record(problem: Problem, repeats: int) -> Record:
    ours = Ours(problem)
    metric, dh = ours.metric(), ours.differential()
    norm = ours.iota.euclidean
    step = metric.damped(norm, 1e-2, "factored").sharp(dh)
    rng = np.random.default_rng(0)
    bases = {
        "centred": ours.iota.centered(metric),
        "diagonal": ours.iota.change({s: (np.diag(rng.uniform(0.5, 2, s.dim)), None) for s in ours.iota}),
        "permuted": ours.iota.change(
            {s: (np.eye(s.dim)[rng.permutation(s.dim)], rng.standard_normal(s.dim)) for s in ours.iota}
        ),
        "whitened": ours.iota.whitened(metric, norm=norm),
        "random": ours.iota.random(rng),
    }
    contestants: dict[str, Any] = {"factors": lambda: ours.metric}
    for name, kappa in bases.items():
        metric.coordinates(kappa)  # the matrices of a basis are inverted and cast once
        step.coordinates(kappa)
        contestants[f"{name}, factors"] = lambda kappa=kappa: lambda: metric.coordinates(kappa)
        contestants[f"{name}, step"] = lambda kappa=kappa: lambda: step.coordinates(kappa)
    record = {**problem.described(), "seconds": medians(interleaved(contestants, repeats=repeats))}
    shares = "  ".join(f"{name} {_share(record, name, 'factors'):.1%}" for name in BASES)
    print(f"{problem.label:46s} {shares}", flush=True)
    return record


def _share(record: Record, name: str, what: str) -> float:
    return float(record["seconds"][f"{name}, {what}"] / record["seconds"]["factors"])


def lines(found: list[Record]) -> list[str]:
    """The table and the words around it."""
    rows = [
        (record["problem"], record["batch"], record["dtype"], f"{record['seconds']['factors']:.3f}",
         *(f"{_share(record, name, 'factors'):.1%}, {_share(record, name, 'step'):.1%}" for name in BASES))
        for record in found
    ]  # fmt: skip
    first, second = TEXT.split("\n\n")
    header = ("network", "batch", "dtype", "factors, s", *BASES)
    return [*table(header, rows), "", *paragraph(first), *paragraph(second)]


def targets(found: list[Record]) -> list[Target]:
    """A few percent, read as five, at every batch."""
    wanted = []
    why = {
        "structured": "passes over memory, where data are fewer than some times the width",
        "full": "of the order of width over data: a few percent where data are some tens of times the width",
    }
    for kind, names in (("structured", STRUCTURED), ("full", ("whitened", "random"))):
        for what in ("factors", "step"):
            shares = [_share(r, name, what) for r in found for name in names]
            label = "centred, diagonal, permuted" if kind == "structured" else "full matrices"
            moved = "the metric" if what == "factors" else "a step"
            name = f"change of {moved}, {label}, of computing the factors"
            wanted.append(Target(name, 0.05, shares, "{:.1%}", why[kind]))
    return wanted
