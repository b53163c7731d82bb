"""``geomkfac audit``: what an optimizer is invariant to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from geomkfac.cli import options as shared
from geomkfac.cli.device_option import DEVICE
from geomkfac.cli.printing import checked_document, number, print_json, progress_bar, table, write_line
from geomkfac.errors import ConditioningError, ValuesError
from geomkfac.outputs import write_text

GROUP: Any = typer.Option(
    None, "--group", metavar="NAME", help="A group to audit, such as 'activation translation'; several may be named."
)
OPTION: Any = typer.Option(
    None,
    "--option",
    metavar="NAME=VALUE",
    help="An option of the optimizer, such as momentum=0.9; several may be given.",
)
HTML: Any = typer.Option(None, "--html", metavar="FILE", help="Write the report as a page that needs no network.")
ACTIONS_TITLE = "changes of basis"


def audit(
    optimizer: str = typer.Argument(
        ..., metavar="OPTIMIZER", help="module:name, such as torch.optim:Adam or geomkfac.updates:Kfac."
    ),
    lr: float = typer.Option(None, "--lr", metavar="X", show_default=False, help="By default the optimizer's own."),
    option: list[str] = OPTION,
    steps: int = typer.Option(
        10, "--steps", metavar="N", min=2, max=shared.MOST_STEPS, help="Updates; compared after the first and the last."
    ),
    network: str = typer.Option(
        "fully connected", "--network", metavar="NAME", help="'fully connected', 'convolutional' or 'recurrent'."
    ),
    seed: int = typer.Option(0, "--seed", metavar="N", min=0, help="Of weights, data and bases."),
    group: list[str] = GROUP,
    details: bool = typer.Option(False, "--details", help="A row of numbers for every group."),
    counterexamples: bool = typer.Option(
        False, "--counterexamples", help="The smallest network found for every broken group, to type in."
    ),
    lie_algebra: bool = typer.Option(
        False, "--lie-algebra", help="The dimension of the algebra of infinitesimal symmetries, and what it holds."
    ),
    vary: str = typer.Option(
        None, "--vary", metavar="NAME=V,V,...", show_default=False,
        help="Audit with several values of an option, such as eps=1e-9,1e-8,1e-7: exponents of what is lost.",
    ),
    device: Annotated[str, DEVICE] = "cpu",
    html: Path = HTML,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:  # fmt: skip
    """Train a small network and its double in other bases, and tell for each group whether they stay the same."""
    from geomkfac.audit import GROUPS
    from geomkfac.audit import audit as run
    from geomkfac.audit.contestants.named import named_optimizer, parsed_option, with_options

    checked_document("page", html)
    plain, options = named_optimizer(optimizer), dict(map(parsed_option, option or ()))
    settings: dict[str, Any] = {
        "groups": group or None, "rate": lr, "steps": steps, "network": network, "seed": seed,
        "device": device,
    }  # fmt: skip
    if vary is not None:
        if html is not None or counterexamples or lie_algebra:
            raise ValuesError("--vary compares audits: it takes no --html, --counterexamples or --lie-algebra.")
        _print_variation(plain, options, vary, settings, as_json)
        return
    chosen = with_options(plain, options)
    with progress_bar("auditing", len(group or GROUPS)) as advance:
        report = run(chosen, progress=lambda _: advance(1), **settings)
    document = report.to_json()
    if lie_algebra:
        document["lie_algebra"] = _algebra(chosen, lr, network, seed, device)
    if counterexamples:
        document["counterexamples"] = _examples(chosen, report, lr, seed, device)
    if html is not None:
        _write_page(document, optimizer, group, html)
    if as_json:
        print_json(document)
    else:
        _print_report(report, document, details or bool(group))


def _print_report(report: Any, document: dict[str, Any], details: bool) -> None:
    how = f" ({report.how})" if report.how else ""
    write_line(
        f"{report.optimizer}{how}, learning rate {report.rate:g}, {report.steps} steps, a {report.network} network."
    )
    if report.rounding:
        write_line(f"Its own arithmetic rounds by {number(report.rounding)} of a step, which counts as round-off.")
    write_line()
    _print_findings(report, details)
    found = document.get("lie_algebra")
    if found is not None:
        names = ", ".join(found["holds"]) or "none of these groups"
        most = f" to {found['at_most']}" if found["at_most"] > found["dimension"] else ""
        write_line(
            f"Infinitesimal symmetries of the first update: dimension {found['dimension']}{most} of {found['of']}; "
            f"{names}."
        )
        if found["undecided"]:
            write_line(f"Not decided, as the update rounds too much: {', '.join(found['undecided'])}.")
    for name, example in document.get("counterexamples", {}).items():
        write_line()
        write_line(f"{name}:")
        for line in example.splitlines():
            write_line(line)


def _print_findings(report: Any, details: bool) -> None:
    from geomkfac.audit.twins.groups import ACTIONS, PLACES, ChangeOfBasis

    if details:
        columns = ["group", "verdict", "1 step", f"{report.steps} steps", "round-off", "slope", "exact"]
        rows = [
            [
                f.group, f.verdict, number(f.first), number(f.last), number(f.floor),
                "" if f.slope is None else f"{f.slope:.2f}", f.exact,
            ]
            for f in report.findings
        ]  # fmt: skip
        table(columns, rows, fold=["group", "exact"])
    else:
        by_name = {finding.group: finding for finding in report.findings}
        rows = [
            [action, *(_cell(by_name.pop(ChangeOfBasis(action, place).name, None)) for place in PLACES)]
            for action in ACTIONS
        ]
        table([ACTIONS_TITLE, *PLACES], rows, fold=PLACES)
        table(["other changes", ""], [[name, _cell(finding)] for name, finding in by_name.items()])
    write_line(
        "Numbers are discrepancies of the two functions on held-out inputs after "
        + ("one step and after all" if details else "one step")
        + ", relative to how far they moved; an invariant one is within the optimizer's own round-off in these bases"
        + ("; the slope is the exponent in the learning rate." if details else ".  --details gives all of them.")
    )
    for hint in dict.fromkeys(f.hint for f in report.findings if f.hint):
        groups = ", ".join(f.group for f in report.findings if f.hint == hint)
        write_line(f"- {groups}: {hint}.")
    for reason in dict.fromkeys(report.left_out.values()):
        groups = ", ".join(name for name, other in report.left_out.items() if other == reason)
        write_line(f"- not here: {groups}; {reason}.")


def _cell(finding: Any) -> str:
    if finding is None:
        return "-"
    if finding.verdict in ("broken", "first order"):
        return f"{finding.verdict} {finding.first:.2g}"
    return str(finding.verdict)


def _algebra(optimizer: Any, lr: float | None, network: str, seed: int, device: str) -> dict[str, Any]:
    """Bounds of the algebra's dimension, that of the whole, and the groups whose algebras lie in it."""
    from geomkfac.audit.symmetries import contains, symmetries
    from geomkfac.audit.twins.groups import GROUPS, ChangeOfBasis
    from geomkfac.audit.twins.problem import random_problem

    widths = (2, 3, 2)
    found = symmetries(optimizer, rate=lr, network=network, widths=widths, seed=seed, device=device)
    problem = random_problem(network, widths=widths, seed=seed)
    holds: list[str] = []
    undecided: list[str] = []
    for one in GROUPS:
        if isinstance(one, ChangeOfBasis):
            try:
                holds += [one.name] if contains(found, problem, one) else []
            except ConditioningError:
                undecided.append(one.name)
    least, most = found.bounds
    return {
        "dimension": least, "at_most": most, "of": len(found.generators), "holds": holds, "undecided": undecided,
    }  # fmt: skip


def _examples(optimizer: Any, report: Any, lr: float | None, seed: int, device: str) -> dict[str, str]:
    """The smallest counterexample of every broken group for which one was found."""
    from geomkfac.audit.counterexample import counterexample

    broken = [finding.group for finding in report.findings if finding.verdict == "broken"]
    with progress_bar("counterexamples", len(broken)) as advance:
        found = {}
        for name in broken:
            example = counterexample(optimizer, name, rate=lr, steps=report.steps, seed=seed, device=device)
            if example is not None:
                found[name] = str(example)
            advance(1)
    return found


def _write_page(document: dict[str, Any], optimizer: str, groups: list[str], path: Path) -> None:
    from geomkfac.audit import subgroups
    from geomkfac.display import audit_page
    from geomkfac.display.audit.order import Order

    order = subgroups()
    if groups:
        order = dict(Order.of(order).restricted(groups).above)
    title = f"What is {document['optimizer']} invariant to?"
    write_text(path, audit_page({optimizer: document}, order, title=title))


def _print_variation(
    plain: Any, options: dict[str, Any], vary: str, settings: dict[str, Any], as_json: bool
) -> None:
    from geomkfac.audit.varied_options import vary as run

    name, _, listed = vary.partition("=")
    try:
        values = [float(value) for value in listed.split(",")]
    except ValueError as error:
        raise ValuesError(f"--vary is written NAME=V,V,..., such as eps=1e-9,1e-8,1e-7; came {vary!r}.") from error
    with progress_bar("auditing", len(values)) as advance:
        found = run(plain, name, values, options=options, exact=False, finished=lambda: advance(1), **settings)
    groups = [finding.group for finding in found.reports[0].findings]
    if as_json:
        print_json(
            {
                "optimizer": found.optimizer, "option": found.option, "values": list(found.values),
                "groups": {g: {"gaps": list(found.gaps(g)), "exponent": found.exponent(g)} for g in groups},
            }
        )  # fmt: skip
        return
    rows = []
    for one in groups:
        exponent = found.exponent(one)
        gaps = ["round-off" if gap == 0 else number(gap) for gap in found.gaps(one)]
        rows.append([one, *gaps, "" if exponent is None else f"{exponent:.2f}"])
    write_line(f"{found.optimizer}: discrepancies after one step, by {name}.")
    table(["group", *(f"{value:g}" for value in found.values), "exponent"], rows, fold=["group"])
    write_line(
        "An exponent of about 1: the invariance is lost to first order in this option, and is there in its limit; of "
        "about 0: this option has nothing to do with it."
    )
