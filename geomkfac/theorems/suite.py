"""Running many statements: one after the other or in several processes, with what was finished kept."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import final

from geomkfac.arrays.floats.threads import one_thread_each
from geomkfac.errors import GeomkfacError
from geomkfac.theorems.engine.run import Report, run
from geomkfac.theorems.engine.statement import Evidence, Statement
from geomkfac.theorems.registry import STATEMENTS

Finished = Callable[[Report], None]

def run_all(
    statements: Sequence[Statement],
    *,
    trials: int = 4,
    seed: int = 0,
    jobs: int = 1,
    record: bool = False,
    mutants_only: bool = False,
    library: str = "numpy",
    progress: Callable[[Evidence], None] | None = None,
    finished: Finished | None = None,
) -> list[Report]:
    """The reports of all statements, in order; a statement that stops with an error has failed, the others run.

    Parameters
    ----------
    statements : registered ones, where `jobs` is above 1: another process finds them by id
    trials, seed, record, library : as for `run`
    jobs : processes; results do not depend on how many
    mutants_only : whether checks are left out
    progress : called with the evidence of every check and mutant; by statements, where jobs is above 1
    finished : called with every report as it comes in, in whatever order
    """
    reports: dict[str, Report] = {}

    def keep(report: Report) -> None:
        reports[report.statement.id] = report
        if finished is not None:
            finished(report)

    options = RunOptions(trials, seed, record, mutants_only, library)
    if jobs > 1 and len(statements) > 1:
        for report in _in_processes(statements, options, min(jobs, len(statements))):
            if progress is not None:
                for evidence in report.results:
                    progress(evidence)
            keep(report)
    else:
        for statement in statements:
            keep(options.run(statement, progress))
    return [reports[statement.id] for statement in statements]


@final
@dataclass(frozen=True, slots=True)
class RunOptions:
    """What is to be done with a statement."""

    trials: int
    seed: int
    record: bool
    mutants_only: bool
    library: str

    def run(self, statement: Statement, progress: Callable[[Evidence], None] | None = None) -> Report:
        """The report; a statement that stops with an error has failed."""
        asked = replace(statement, checks=()) if self.mutants_only else statement
        try:
            report = run(
                asked,
                trials=self.trials,
                seed=self.seed,
                record=self.record,
                library=self.library,
                progress=progress,
            )
            results = report.results
        except GeomkfacError as error:
            name = type(error).__name__
            grade = statement.checks[0].grade
            results = (Evidence(grade, "stopped", False, f"{name}: {error}", {"stopped": name}),)
        return Report(asked, results, self.trials, self.seed)


def _in_processes(statements: Sequence[Statement], options: RunOptions, jobs: int) -> Iterator[Report]:
    """The reports as they come in."""
    context = multiprocessing.get_context("spawn")
    with one_thread_each(), ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting: dict[Future[tuple[Evidence, ...]], Statement] = {
            pool.submit(_results, statement.id, options): statement for statement in statements
        }
        try:
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    statement = waiting.pop(future)
                    asked = replace(statement, checks=()) if options.mutants_only else statement
                    yield Report(asked, future.result(), options.trials, options.seed)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            # Statements in hand are lost anyway, and nobody waits for them.
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise


def _results(id: str, options: RunOptions) -> tuple[Evidence, ...]:
    """What a worker sends back: plain data, as checks are functions that stay where they are."""
    return options.run(STATEMENTS[id]).results
