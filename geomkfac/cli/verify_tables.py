"""The tables of ``geomkfac verify``: a table for each statement, the mutants' table, an explanation."""

from __future__ import annotations

from collections.abc import Sequence

from geomkfac.cli.printing import print_json, table, write_line
from geomkfac.theorems import CHAPTERS, Evidence, Report, Statement, explain

MEANING = {
    "X": "exact: for a rational identity a failure over GF(p) is a proof that it is false as checked; the witness "
    "says where.",
    "S": "symbolic: the two sides are different expressions.",
    "N": "numeric: the two sides differ by more than rounding can explain, or an exponent is not the one claimed.",
    "C": "counterexample: a claim held where it must fail, so its check could not have failed either.",
    "M": "mutant: a planted fault went unseen, so the check above it proves less than it says.",
}
"""What a failure of each grade means."""

STOPPED = "stopped: the statement could not be run to its end, so that nothing is said about it."


def list_statements(statements: Sequence[Statement], as_json: bool) -> None:
    """Ids, grades and titles, by chapter."""
    if as_json:
        print_json(
            [{"id": one.id, "source": one.source, "title": one.title, "grades": one.grades} for one in statements]
        )
        return
    asked = {one.id for one in statements}
    for chapter, members in CHAPTERS.items():
        rows = [[one.id, one.grades, one.title] for one in members if one.id in asked]
        if rows:
            write_line(chapter)
            table(["id", "grades", "statement"], rows, wrap="statement")


def show_report(report: Report) -> None:
    """The statement, its hypotheses, and a row for each piece of evidence."""
    statement = report.statement
    write_line(f"{statement.id}  {statement.title}  ({statement.source})")
    for hypothesis in statement.hypotheses:
        write_line(f"  assumes: {hypothesis}")
    rows = [
        [one.grade, "ok" if one.holds else "FAILS", f"{one.name}: {one.text}", f"{one.seconds:.2f} s"]
        for one in report.results
    ]
    table(["grade", "verdict", "evidence", "time"], rows, wrap="evidence")


def show_explanation(report: Report) -> None:
    """What a reader of the paper wants to know."""
    for section in explain(report):
        write_line(section.title)
        for paragraph in section.paragraphs:
            if paragraph:
                write_line(f"  {paragraph}")
        for point in section.points:
            write_line(f"  - {point}")
        write_line()


def show_mutants(reports: Sequence[Report]) -> None:
    """The table statement x mutant."""
    rows = [
        [report.statement.id, one.name, "refuted" if one.holds else "SURVIVES", one.text.removeprefix("refuted ")]
        for report in reports
        for one in report.results
    ]
    table(["statement", "mutant", "verdict", "how"], rows, wrap="how", fold=("mutant",))


def conclude(reports: Sequence[Report]) -> None:
    """Totals, and what a failure means where there is one."""
    run = [report for report in reports if report.results]
    results = [result for report in run for result in report.results]
    mutants = [result for result in results if result.grade == "M"]
    failed = [report.statement.id for report in run if not report.holds]
    checks = f"{len(results) - len(mutants)} checks, " if len(results) > len(mutants) else ""
    write_line(
        f"{len(run) - len(failed)} of {len(run)} statements hold; {checks}"
        f"{sum(result.holds for result in mutants)} of {len(mutants)} mutants refuted; "
        f"{sum(report.seconds for report in run):.1f} s."
    )
    if failed:
        write_line(f"Failed: {', '.join(failed)}.")
        write_line("What a failure means:")
        failures = [result for result in results if not result.holds]
        for meaning in dict.fromkeys(_meaning(result) for result in failures):
            write_line(f"- {meaning}")


def _meaning(failure: Evidence) -> str:
    return STOPPED if "stopped" in failure.details else f"{failure.grade}, {MEANING[failure.grade]}"
