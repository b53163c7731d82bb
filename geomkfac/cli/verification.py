"""What ``geomkfac verify`` does; apart from its options, as importing all statements takes a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from geomkfac.arrays import floating_namespace
from geomkfac.arrays.floats.threads import processors
from geomkfac.cli.printing import print_json, progress_bar, write_line
from geomkfac.cli.reports import conclude, list_statements, show_explanation, show_mutants, show_report
from geomkfac.display import ledger_page
from geomkfac.errors import ValuesError
from geomkfac.theorems import CertificateDirectory, Evidence, Report, Statement, find, run_all

FEW = 8
"""So many statements are done before other processes have started."""


def verification(
    ids: Sequence[str],
    *,
    show_list: bool,
    mutants: bool,
    explain: bool,
    trials: int,
    seed: int,
    library: str,
    jobs: int | None,
    certificate: Path | None,
    resume: bool,
    html: Path | None,
    as_json: bool,
) -> bool:
    """Run statements and show what was found; whether all hold.  Arguments are the options of the command."""
    statements = find(ids)
    _check_options(show_list, mutants, explain, certificate, resume, html, as_json)
    if show_list:
        list_statements(statements, as_json)
        return True
    directory = None
    if certificate is not None:
        directory = CertificateDirectory(certificate, trials=trials, seed=seed, resume=resume)
    if html is not None:
        _check_file(html)
    floating_namespace(library)  # Before anything is run.
    reports = _reports(statements, trials, seed, jobs, mutants, library, directory)
    holds = all(report.holds for report in reports if report.results)
    if html is not None:
        html.write_text(ledger_page(reports), encoding="utf-8")
    if as_json:
        print_json({"holds": holds, "statements": [report.to_json() for report in reports]})
    elif mutants:
        show_mutants(reports)
    elif explain:
        for report in reports:
            show_explanation(report)
    else:
        for report in reports:
            show_report(report)
    if not as_json:
        conclude(reports)
        _say_what_was_written(directory, html)
    return holds


def _reports(
    statements: Sequence[Statement],
    trials: int,
    seed: int,
    jobs: int | None,
    mutants_only: bool,
    library: str,
    directory: CertificateDirectory | None,
) -> list[Report]:
    """Every report, in order: those of an interrupted run, and the others."""
    kept = directory.finished(statements) if directory is not None else {}
    missing = [statement for statement in statements if statement.id not in kept]
    pieces = sum(len(one.mutants) + (0 if mutants_only else len(one.checks)) for one in missing)
    if jobs is None:
        jobs = processors() if len(missing) > FEW else 1
    with progress_bar("verifying", pieces) as advance:
        step: Callable[[Evidence], None] = lambda _: advance(1)  # noqa: E731
        try:
            made = run_all(
                missing,
                trials=trials,
                seed=seed,
                jobs=jobs,
                record=directory is not None,
                mutants_only=mutants_only,
                library=library,
                progress=step,
                finished=None if directory is None else directory.write,
            )
        except KeyboardInterrupt:
            if directory is not None:
                count = len(directory.finished(statements))
                typer.echo(
                    f"geomkfac: {count} of {len(statements)} statements are certified in {directory.path}; "
                    "go on with --resume.",
                    err=True,
                )
            raise
    by_id = kept | {report.statement.id: report for report in made}
    reports = [by_id[statement.id] for statement in statements]
    if directory is not None:
        directory.close(reports)
    return reports


def _check_options(
    show_list: bool,
    mutants: bool,
    explain: bool,
    certificate: Path | None,
    resume: bool,
    html: Path | None,
    as_json: bool,
) -> None:
    """Refuse what contradicts itself."""
    chosen = {
        "--list": show_list,
        "--mutants": mutants,
        "--explain": explain,
        "--certificate": certificate is not None,
        "--html": html is not None,
        "--json": as_json,
    }
    apart = [("--list", "--mutants"), ("--list", "--explain"), ("--list", "--certificate"), ("--list", "--html")]
    apart += [("--mutants", other) for other in ("--explain", "--certificate", "--html")] + [("--explain", "--json")]
    for one, other in apart:
        if chosen[one] and chosen[other]:
            raise ValuesError(
                f"{one} and {other} do not go together.\n  required: one of the two\n  came    : both\n"
                "Run the command once for each."
            )
    if resume and certificate is None:
        raise ValuesError(
            "what a run has finished is kept in its certificates.\n  required: --certificate DIR beside --resume\n"
            "  came    : --resume alone\nName the directory of the interrupted run."
        )


def _check_file(path: Path) -> None:
    """Refuse, before anything is run, what cannot be written afterwards."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValuesError(
            f"the page cannot be written.\n  required: a file in a directory that exists\n  came    : {path}\n"
            "Make the directory first."
        )


def _say_what_was_written(directory: CertificateDirectory | None, html: Path | None) -> None:
    if directory is not None:
        path = directory.path
        write_line(f"Certificates in {path}; check them with: python {path / 'check_certificate.py'} {path}")
    if html is not None:
        write_line(f"The page is {html}.")
