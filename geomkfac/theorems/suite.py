"""Running many statements: one after the other or in several processes, with what was finished kept."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import closing
from dataclasses import dataclass, replace
from typing import final

from geomkfac.errors import GeomkfacError, WorkerError
from geomkfac.networks.running.processes import Processes
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

    Raises
    ------
    WorkerError : one of several processes died.
    """
    reports: dict[str, Report] = {}

    def keep(report: Report) -> None:
        reports[report.statement.id] = report
        if finished is not None:
            finished(report)

    options = RunOptions(trials, seed, record, mutants_only, library)
    if jobs > 1 and len(statements) > 1:
        # Closed at once where it is interrupted, with its processes.
        with closing(_in_processes(statements, options, min(jobs, len(statements)))) as reported:
            for report in reported:
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


def _in_processes(
    statements: Sequence[Statement], options: RunOptions, jobs: int
) -> Generator[Report, None, None]:
    """The reports as they come in."""
    try:
        with Processes(jobs) as pool:
            waiting: dict[Future[tuple[Evidence, ...]], Statement] = {
                pool.submit(_results, statement.id, options): statement for statement in statements
            }
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    statement = waiting.pop(future)
                    asked = replace(statement, checks=()) if options.mutants_only else statement
                    yield Report(asked, future.result(), options.trials, options.seed)
    except BrokenExecutor as error:
        raise WorkerError(
            f"a process that ran statements has died ({error}).\n"
            "  required: processes that live until their statements are run\n"
            "If it ran out of memory, take fewer jobs."
        ) from error


def _results(id: str, options: RunOptions) -> tuple[Evidence, ...]:
    """What a worker sends back: plain data, as checks are functions that stay where they are."""
    return options.run(STATEMENTS[id]).results
