"""``geomkfac catalogue``: what the optimizers of whole packages are invariant to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from geomkfac.cli import options
from geomkfac.cli.device_option import DEVICE
from geomkfac.cli.printing import checked_document, print_json, progress_bar, write_line
from geomkfac.inputs import read_text
from geomkfac.outputs import write_text

PACKAGE: Any = typer.Option(
    None, "--package", metavar="MODULE", show_default=False,
    help="A module that holds optimizer classes; several may be named. By default torch.optim and pytorch_optimizer.",
)  # fmt: skip
FILE: Any = typer.Option(
    None, "--json", metavar="FILE", help="Where results are kept, written after each; what is there is not run again."
)
HTML: Any = typer.Option(None, "--html", metavar="FILE", help="Write one page that needs no network.")
MARKDOWN: Any = typer.Option(None, "--markdown", metavar="FILE", help="Write it as a Markdown document.")
NOTES: Any = typer.Option(None, "--notes", metavar="FILE", help="Markdown to put into that document.")
FIGURE: Any = typer.Option(
    None, "--figure", metavar="FILE", help="Write the lattice of groups as SVG; the Markdown document shows it."
)


def catalogue(
    package: list[str] = PACKAGE,
    rules: bool = typer.Option(True, "--rules/--no-rules", help="The reference rules of geomkfac.updates."),
    libraries: bool = typer.Option(True, "--libraries/--no-libraries", help="Updates of K-FAC libraries at hand."),
    steps: int = typer.Option(10, "--steps", metavar="N", min=2, max=options.MOST_STEPS, help="Updates of each run."),
    seed: int = typer.Option(0, "--seed", metavar="N", min=0, help="Of weights, data and bases."),
    device: Annotated[str, DEVICE] = "cpu",
    jobs: Annotated[int | None, options.JOBS] = None,
    limit: float = typer.Option(600.0, "--limit", metavar="SECONDS", min=1, help="Processor time for one optimizer."),
    file: Path | None = FILE,
    again: bool = typer.Option(False, "--again", help="Run what the file holds again."),
    html: Path | None = HTML,
    markdown: Path | None = MARKDOWN,
    notes: Path | None = NOTES,
    figure: Path | None = FIGURE,
) -> None:
    """Audit every optimizer of whole packages, each in a process of its own, and write what was found.

    An interrupted catalogue goes on where it was with the same command, if it has a file (--json).
    """
    from geomkfac.arrays.floats.threads import processors
    from geomkfac.audit.catalogues.document import figure as drawn
    from geomkfac.audit.catalogues.document import markdown as written
    from geomkfac.audit.catalogues.document import page
    from geomkfac.audit.catalogues.entries import PACKAGES
    from geomkfac.audit.catalogues.making import catalogue as run

    for path in (file, html, markdown, figure):
        checked_document("catalogue", path)
    told = "" if notes is None else read_text(notes)
    with _progress() as progress:
        made = run(
            tuple(package or PACKAGES), with_rules=rules, with_libraries=libraries, steps=steps, seed=seed,
            device=device, jobs=jobs or processors(), limit=limit, file=file, again=again, progress=progress,
        )  # fmt: skip
    if html is not None:
        write_text(html, page(made))
    if figure is not None:
        write_text(figure, drawn(made))
    if markdown is not None:
        address = "" if figure is None else _address(figure, markdown)
        write_text(markdown, written(made, notes=told, figure=address))
    if not any((file, html, markdown, figure)):
        print_json(made.to_json())
        return
    count = sum(map(len, made.reports.values()))
    write_line(f"{count} audited, {sum(map(len, made.unaudited.values()))} could not be.")
    for path in (file, html, markdown, figure):
        if path is not None:
            write_line(f"Written: {path}")


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """A bar that is as long as what is left, which is known with the first result."""
    with ExitStack() as stack:
        bars: list[Callable[[int], None]] = []

        def advance(name: str, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(progress_bar("auditing", total)))
            bars[0](1)

        yield advance


def _address(figure: Path, document: Path) -> str:
    """Of the figure, as seen from the document."""
    return Path(os.path.relpath(figure.absolute(), document.absolute().parent)).as_posix()
