"""``geomkfac audit``: what an optimizer is invariant to."""

from __future__ import annotations

from typing import Any

import typer

from geomkfac.cli.output import number, print_json, table, write_line

__all__ = ["audit"]

GROUP: Any = typer.Option(
    None, "--group", metavar="NAME", help="A group to audit, such as 'activation translation'; several may be named."
)


def audit(
    optimizer: str = typer.Argument(
        ..., metavar="OPTIMIZER", help="module:name, such as torch.optim:Adam or geomkfac.updates:Kfac."
    ),
    lr: float = typer.Option(None, "--lr", metavar="X", show_default=False, help="By default the optimizer's own."),
    steps: int = typer.Option(
        10, "--steps", metavar="N", min=2, help="Updates; compared after the first and the last."
    ),
    seed: int = typer.Option(0, "--seed", metavar="N", min=0, help="Of weights, data and bases."),
    group: list[str] = GROUP,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Train a small network and its double in other bases, and tell for each group whether they stay the same."""
    from geomkfac.audit import audit as run
    from geomkfac.audit.loading import named_optimizer

    report = run(named_optimizer(optimizer), groups=group or None, rate=lr, steps=steps, seed=seed)
    if as_json:
        print_json(report.to_json())
        return
    how = f" ({report.how})" if report.how else ""
    write_line(f"{report.optimizer}{how}, learning rate {report.rate:g}, {report.steps} steps.")
    write_line()
    rows = [
        [
            f.group,
            f.verdict,
            number(f.first),
            number(f.last),
            number(f.floor),
            "" if f.slope is None else f"{f.slope:.2f}",
        ]
        for f in report.findings
    ]
    table(["group", "verdict", "1 step", f"{report.steps} steps", "round-off", "slope"], rows)
    write_line(
        "Discrepancies of the two functions on held-out inputs, relative to how far they moved; round-off is what the "
        "optimizer's own rounding explains in these bases; the slope is the exponent in the learning rate."
    )
    for hint in dict.fromkeys(f.hint for f in report.findings if f.hint):
        groups = ", ".join(f.group for f in report.findings if f.hint == hint)
        write_line(f"- {groups}: {hint}.")
