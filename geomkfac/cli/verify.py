"""``geomkfac verify``: run the theorems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from geomkfac.cli.devices import DEVICE, library_on

IDS: Any = typer.Argument(None, metavar="[ID ...]", help="Statements, such as LG-T2.1; all where none is named.")
CERTIFICATE: Any = typer.Option(
    None, "--certificate", metavar="DIR", help="Write certificates into DIR, which is empty or not there yet."
)
HTML: Any = typer.Option(None, "--html", metavar="FILE", help="Write the evidence as one page that needs no network.")
JOBS: Any = typer.Option(
    None, "--jobs", metavar="N", min=1, show_default=False, help="Processes; by default one for each processor."
)


def verify(
    ids: list[str] = IDS,
    show_list: bool = typer.Option(False, "--list", help="List the statements, and run nothing."),
    mutants: bool = typer.Option(False, "--mutants", help="Plant the faults alone: the table statement x mutant."),
    explain: bool = typer.Option(False, "--explain", help="Tell what is assumed, drawn and compared."),
    trials: int = typer.Option(4, "--trials", metavar="N", min=1, help="Random instances for each check."),
    seed: int = typer.Option(0, "--seed", metavar="N", min=0, help="What every random draw depends on."),
    library: str = typer.Option("numpy", "--library", metavar="NAME", help="Array library of the numeric checks."),
    device: str = DEVICE,
    jobs: int | None = JOBS,
    certificate: Path | None = CERTIFICATE,
    resume: bool = typer.Option(False, "--resume", help="Go on with the interrupted run that --certificate DIR holds."),
    html: Path | None = HTML,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Run statements of the ledger: exact evidence, counterexamples, and mutants that must be refuted.

    The numeric checks run on --device, exact ones on the host.

    Exit status: 0 where all hold, 1 where one fails, 2 for bad input.
    """
    from geomkfac.cli.verification import verification

    holds = verification(
        ids or [],
        show_list=show_list,
        mutants=mutants,
        explain=explain,
        trials=trials,
        seed=seed,
        library=library_on(library, device),
        jobs=jobs,
        certificate=certificate,
        resume=resume,
        html=html,
        as_json=as_json,
    )
    raise typer.Exit(0 if holds else 1)
