"""Running a statement: every check by its grade, every mutant, and one report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

from geomkfac.counts import checked_count
from geomkfac.theorems.engine import exact_evidence as exact
from geomkfac.theorems.engine import numeric_evidence as numeric
from geomkfac.theorems.engine.statement import Check, Evidence, Mutant, Statement
from geomkfac.theorems.engine.trials import Key


@final
@dataclass(frozen=True, slots=True)
class Report:
    """What running a statement gave.

    Attributes
    ----------
    statement : Statement
    results : Evidence, one per check and then one per mutant, in the statement's order
    trials, seed : as they were asked for
    """

    statement: Statement
    results: tuple[Evidence, ...]
    trials: int
    seed: int

    @property
    def holds(self) -> bool:
        """Whether every check is as it must be, and every mutant is refuted."""
        return bool(self.results) and all(result.holds for result in self.results)

    @property
    def seconds(self) -> float:
        """How long all of it took."""
        return sum(result.seconds for result in self.results)

    def to_json(self) -> dict[str, Any]:
        """Plain data, JSON-serialisable."""
        statement = self.statement
        return {
            "id": statement.id,
            "source": statement.source,
            "title": statement.title,
            "statement": statement.text,
            "latex": statement.latex,
            "hypotheses": list(statement.hypotheses),
            "holds": self.holds,
            "trials": self.trials,
            "seed": self.seed,
            "seconds": self.seconds,
            "results": [result.to_json() for result in self.results],
        }


def run(
    statement: Statement,
    *,
    trials: int = 4,
    seed: int = 0,
    progress: Callable[[Evidence], None] | None = None,
    record: bool = False,
    library: str = "numpy",
) -> Report:
    """Run every check and every mutant of a statement; the result depends on its arguments alone.

    Parameters
    ----------
    statement : Statement
    trials : how many random instances each check is run at
    seed : nonnegative integer
    progress : called after each check and each mutant with its Evidence
    record : whether details of exact checks hold what certificates say of every trial
    library : the array library of numeric checks, by name

    Raises
    ------
    ValuesError : trials or seed is no integer in its range.
    UnknownNameError, MissingExtraError : no such library; it is not installed.
    VacuousCheckError : a check could not have failed.
    """
    checked_count("trials", trials)
    checked_count("seed", seed, 0)
    results: list[Evidence] = []
    for item in statement.items:
        start = time.perf_counter()
        evidence = _evidence(statement, item, trials, seed, record, library)
        results.append(replace(evidence, seconds=time.perf_counter() - start))
        if progress is not None:
            progress(results[-1])
    return Report(statement, tuple(results), trials, seed)


def _evidence(
    statement: Statement, item: Check | Mutant, trials: int, seed: int, record: bool, library: str
) -> Evidence:
    numeric_scalars = item.over == "floating"
    if isinstance(item, Mutant):
        refuted = numeric.refuted if numeric_scalars else exact.refuted
        return refuted(item, (seed, statement.id, "M", item.fault), trials)
    key: Key = (seed, statement.id, item.grade, item.name)
    if item.over == "symbols":
        # Symbols are all instances at once.
        trials = 1
    if item.grade == "C":
        return numeric.counterexample(item, key, trials) if numeric_scalars else exact.counterexample(item, key, trials)
    if numeric_scalars:
        return numeric.numeric(item, key, trials, library)
    return exact.exact(item, key, trials, record=record and item.over != "symbols")
