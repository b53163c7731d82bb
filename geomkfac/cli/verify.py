"""``geomkfac verify``: run the theorems."""

from __future__ import annotations

import typer

from geomkfac.cli.output import print_json, progress_bar, table, write_line
from geomkfac.theorems import STATEMENTS, Report, find, run

__all__ = ["verify"]

MEANING = """\
What a failure means. X: for a rational identity a failure over GF(p) is a proof that it is false as checked, and
the witness says where. N: two sides differ by more than rounding can explain. C: a claim held where it must fail,
so its check could not have failed either. M: a planted fault went unseen."""


def verify(
    ids: list[str] = typer.Argument(None, metavar="[ID]...", help="Statements, such as LG-T2.1; none for all."),  # noqa: B008
    show_list: bool = typer.Option(False, "--list", help="List the statements, and run nothing."),
    trials: int = typer.Option(4, help="Random instances for each check."),
    seed: int = typer.Option(0, help="What every random draw depends on."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Run statements of the ledger: exact evidence, counterexamples, and mutants that must be refuted."""
    statements = find(ids or [])
    if show_list:
        _list(as_json)
        return
    reports: list[Report] = []
    pieces = sum(len(statement.checks) + len(statement.mutants) for statement in statements)
    with progress_bar("verifying", pieces) as advance:
        for statement in statements:
            reports.append(run(statement, trials=trials, seed=seed, progress=lambda _: advance(1)))
    holds = all(report.holds for report in reports)
    if as_json:
        print_json({"holds": holds, "statements": [report.to_json() for report in reports]})
    else:
        for report in reports:
            _show(report)
        _conclude(reports, holds)
    raise typer.Exit(0 if holds else 1)


def _list(as_json: bool) -> None:
    statements = STATEMENTS.values()
    if as_json:
        print_json([{"id": one.id, "source": one.source, "title": one.title} for one in statements])
        return
    rows = [[one.id, _grades(one), one.title] for one in statements]
    table("", ["id", "grades", "statement"], rows, wrap="statement")


def _grades(statement: object) -> str:
    found = {check.grade for check in statement.checks}  # type: ignore[attr-defined]
    return " ".join(grade for grade in "XSNC" if grade in found)


def _show(report: Report) -> None:
    statement = report.statement
    write_line()
    write_line(f"{statement.id}  {statement.title}  ({statement.source})")
    for hypothesis in statement.hypotheses:
        write_line(f"  assumes: {hypothesis}")
    rows = [
        [result.grade, "ok" if result.holds else "FAILS", f"{result.name}: {result.text}", f"{result.seconds:.2f} s"]
        for result in report.results
    ]
    table("", ["grade", "verdict", "evidence", "time"], rows, wrap="evidence")


def _conclude(reports: list[Report], holds: bool) -> None:
    results = [result for report in reports for result in report.results]
    mutants = [result for result in results if result.grade == "M"]
    failed = [report.statement.id for report in reports if not report.holds]
    seconds = sum(report.seconds for report in reports)
    write_line(
        f"{len(reports) - len(failed)} of {len(reports)} statements hold; {len(results) - len(mutants)} checks, "
        f"{sum(result.holds for result in mutants)} of {len(mutants)} mutants refuted; {seconds:.1f} s."
    )
    if not holds:
        write_line(f"Failed: {', '.join(failed)}.")
        write_line(MEANING)
