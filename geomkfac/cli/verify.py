"""``geomkfac verify``: run the theorems.

The statements are imported when the command runs: that takes a while, and other commands need none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geomkfac.arrays import floating_namespace
from geomkfac.arrays.floats.threads import processors
from geomkfac.cli import options
from geomkfac.cli.device_option import DEVICE, library_on
from geomkfac.cli.printing import checked_document, print_json, progress_bar, write_line
from geomkfac.errors import ValuesError
from geomkfac.outputs import write_text

if TYPE_CHECKING:
    from geomkfac.theorems import CertificateDirectory, Evidence, Report, Statement

IDS: Any = typer.Argument(metavar="[ID ...]", help="Statements, such as LG-T2.1; all where none is named.")
CERTIFICATE: Any = typer.Option(
    "--certificate", metavar="DIR", help="Write certificates into DIR, which is empty or not there yet."
)
RESUME: Any = typer.Option("--resume", help="Go on with the interrupted run that --certificate DIR holds.")
HTML: Any = typer.Option("--html", metavar="FILE", help="Write the evidence as one page that needs no network.")
MOST_TRIALS = 1000
"""The chance that a false identity passes is below 1e-1000 long before; more is a mistake of typing."""
FEW = 8
"""So many statements are done before other processes have started."""


def verify(
    ids: Annotated[list[str] | None, IDS] = None,
    show_list: bool = typer.Option(False, "--list", help="List the statements, and run nothing."),
    mutants: bool = typer.Option(False, "--mutants", help="Plant the faults alone: the table statement x mutant."),
    explain: bool = typer.Option(False, "--explain", help="Tell what is assumed, drawn and compared."),
    trials: int = typer.Option(
        4, "--trials", metavar="N", min=1, max=MOST_TRIALS, help="Random instances for each check, 1000 at most."
    ),
    seed: int = typer.Option(0, "--seed", metavar="N", min=0, help="What every random draw depends on."),
    library: str = typer.Option("numpy", "--library", metavar="NAME", help="Array library of the numeric checks."),
    device: Annotated[str, DEVICE] = "cpu",
    jobs: Annotated[int | None, options.JOBS] = None,
    certificate: Annotated[Path | None, CERTIFICATE] = None,
    resume: Annotated[bool, RESUME] = False,
    html: Annotated[Path | None, HTML] = None,
    as_json: Annotated[bool, options.JSON] = False,
) -> None:
    """Run statements of the ledger: exact evidence, counterexamples, and mutants that must be refuted.

    The numeric checks run on --device, exact ones on the host.

    Exit status: 0 where all hold, 1 where one fails, 2 for bad input.
    """
    from geomkfac.cli.verify_tables import conclude, list_statements, show_explanation, show_mutants, show_report
    from geomkfac.theorems import CertificateDirectory, find

    library = library_on(library, device)
    statements = find(ids or [])
    chosen = {"list": show_list, "mutants": mutants, "explain": explain, "certificate": certificate, "html": html}
    _check_options(chosen | {"json": as_json}, resume)
    if show_list:
        list_statements(statements, as_json)
        return
    directory = None
    if certificate is not None:
        directory = CertificateDirectory(certificate, trials=trials, seed=seed, resume=resume)
    checked_document("page", html)
    floating_namespace(library)  # Before anything is run.
    reports = _reports(statements, trials, seed, jobs, mutants, library, directory)
    holds = all(report.holds for report in reports if report.results)
    if html is not None:
        from geomkfac.display import ledger_page

        write_text(html, ledger_page(reports))
    if as_json:
        print_json({"holds": holds, "statements": [report.to_json() for report in reports]})
    elif mutants:
        show_mutants(reports)
    else:
        for report in reports:
            (show_explanation if explain else show_report)(report)
    if not as_json:
        conclude(reports)
        _say_what_was_written(directory, html)
    if not holds:
        raise typer.Exit(1)


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
    from geomkfac.theorems import run_all

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


def _check_options(chosen: Mapping[str, object], resume: bool) -> None:
    """Refuse what contradicts itself, of the options that `chosen` names."""
    apart = [("list", "mutants"), ("list", "explain"), ("list", "certificate"), ("list", "html")]
    apart += [("mutants", other) for other in ("explain", "certificate", "html")] + [("explain", "json")]
    for one, other in apart:
        if chosen[one] and chosen[other]:
            raise ValuesError(
                f"--{one} and --{other} do not go together.\n  required: one of the two\n  came    : both\n"
                "Run the command once for each."
            )
    if resume and not chosen["certificate"]:
        raise ValuesError(
            "what a run has finished is kept in its certificates.\n  required: --certificate DIR beside --resume\n"
            "  came    : --resume alone\nName the directory of the interrupted run."
        )


def _say_what_was_written(directory: CertificateDirectory | None, html: Path | None) -> None:
    if directory is not None:
        path = directory.path
        write_line(f"Certificates in {path}; check them with: python {path / 'check_certificate.py'} {path}")
    if html is not None:
        write_line(f"The page is {html}.")
