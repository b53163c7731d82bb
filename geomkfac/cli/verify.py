"""``geomkfac verify``: run the theorems."""

from __future__ import annotations

from typing import Any

import typer

from geomkfac.cli.output import print_json, progress_bar, table, write_line
from geomkfac.errors import GeomkfacError
from geomkfac.theorems import Evidence, Report, Statement, find, run

__all__ = ["verify"]

MEANING = {
    "X": "exact: for a rational identity a failure over GF(p) is a proof that it is false as checked; the witness "
    "says where.",
    "S": "symbolic: the two sides are different expressions.",
    "N": "numeric: the two sides differ by more than rounding can explain.",
    "C": "counterexample: a claim held where it must fail, so its check could not have failed either.",
    "M": "mutant: a planted fault went unseen, so the check above it proves less than it says.",
}
"""What a failure of each grade means."""

STOPPED = "stopped: the statement could not be run to its end, so that nothing is said about it."

IDS: Any = typer.Argument(None, metavar="[ID ...]", help="Statements, such as LG-T2.1; all where none is named.")


def verify(
    ids: list[str] = IDS,
    show_list: bool = typer.Option(False, "--list", help="List the statements, and run nothing."),
    trials: int = typer.Option(4, "--trials", metavar="N", min=1, help="Random instances for each check."),
    seed: int = typer.Option(0, "--seed", metavar="N", min=0, help="What every random draw depends on."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Run statements of the ledger: exact evidence, counterexamples, and mutants that must be refuted.

    Exit status: 0 where all hold, 1 where one fails, 2 for bad input.
    """
    statements = find(ids or [])
    if show_list:
        _list(statements, as_json)
        return
    pieces = sum(len(statement.checks) + len(statement.mutants) for statement in statements)
    with progress_bar("verifying", pieces) as advance:
        reports = [_run(statement, trials, seed, lambda _: advance(1)) for statement in statements]
    holds = all(report.holds for report in reports)
    if as_json:
        print_json({"holds": holds, "statements": [report.to_json() for report in reports]})
    else:
        for report in reports:
            _show(report)
        _conclude(reports)
    raise typer.Exit(0 if holds else 1)


def _run(statement: Statement, trials: int, seed: int, progress: Any) -> Report:
    """The report; a statement that stops with an error has failed, and the others still run."""
    try:
        return run(statement, trials=trials, seed=seed, progress=progress)
    except GeomkfacError as error:
        name = type(error).__name__
        stopped = Evidence(statement.checks[0].grade, "stopped", False, f"{name}: {error}", {"stopped": name})
        return Report(statement, (stopped,), trials, seed)


def _list(statements: Any, as_json: bool) -> None:
    if as_json:
        print_json([{"id": one.id, "source": one.source, "title": one.title} for one in statements])
        return
    table(["id", "grades", "statement"], [[one.id, _grades(one), one.title] for one in statements], wrap="statement")


def _grades(statement: Statement) -> str:
    found = {check.grade for check in statement.checks}
    return " ".join(grade for grade in "XSNC" if grade in found)


def _show(report: Report) -> None:
    statement = report.statement
    write_line(f"{statement.id}  {statement.title}  ({statement.source})")
    for hypothesis in statement.hypotheses:
        write_line(f"  assumes: {hypothesis}")
    rows = [
        [one.grade, "ok" if one.holds else "FAILS", f"{one.name}: {one.text}", f"{one.seconds:.2f} s"]
        for one in report.results
    ]
    table(["grade", "verdict", "evidence", "time"], rows, wrap="evidence")


def _conclude(reports: list[Report]) -> None:
    results = [result for report in reports for result in report.results]
    mutants = [result for result in results if result.grade == "M"]
    failed = [report.statement.id for report in reports if not report.holds]
    write_line(
        f"{len(reports) - len(failed)} of {len(reports)} statements hold; {len(results) - len(mutants)} checks, "
        f"{sum(result.holds for result in mutants)} of {len(mutants)} mutants refuted; "
        f"{sum(report.seconds for report in reports):.1f} s."
    )
    if failed:
        write_line(f"Failed: {', '.join(failed)}.")
        write_line("What a failure means:")
        failures = [result for result in results if not result.holds]
        for meaning in dict.fromkeys(_meaning(result) for result in failures):
            write_line(f"- {meaning}")


def _meaning(failure: Evidence) -> str:
    return STOPPED if "stopped" in failure.details else f"{failure.grade}, {MEANING[failure.grade]}"
