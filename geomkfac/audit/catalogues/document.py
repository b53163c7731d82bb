"""The catalogue as a document: a table of optimizers and groups, versions, and what could not be audited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from geomkfac.audit.catalogues.file import Catalogue
from geomkfac.audit.twins.groups import PLACES, LossScale, subgroups
from geomkfac.audit.twins.storage import STORAGES
from geomkfac.audit.verdicts.other_networks import WIDTHS
from geomkfac.display.audit.audit_page import audit_page
from geomkfac.display.audit.lattice import lattice_svg
from geomkfac.display.audit.order import Order
from geomkfac.display.templates import rendered

NEAR = 0.01
"""A discrepancy below this is a near-invariance."""
SHOWN = 3
"""Near-invariances of one optimizer that are listed; the largest groups among those that are near."""
LAYOUTS = {"order of parameters": "order", "transposed weights": "transposed", "joint bias": "joint",
           "one flat vector": "flat"}  # fmt: skip


def page(made: Catalogue, title: str = "What optimizers are invariant to") -> str:
    """The catalogue as one HTML page that needs no network."""
    unaudited = [
        {"name": f"{package}: {name}", "reason": reason}
        for package, found in made.unaudited.items()
        for name, reason in found.items()
    ] + [{"name": package, "reason": reason} for package, reason in made.missing.items()]
    return audit_page(made.named(), _order(made).above, title=title, unaudited=unaudited)


def figure(made: Catalogue) -> str:
    """The lattice of groups with the optimizers on it, as SVG."""
    order = _order(made)
    verdicts = {
        optimizer: dict.fromkeys(order.names, "left out") | {one["group"]: one["verdict"] for one in report["findings"]}
        for optimizer, report in made.named().items()
    }
    return lattice_svg(order.above, verdicts, title="Groups, and the optimizers that keep them")


def _order(made: Catalogue) -> Order:
    """Between the groups that a catalogue speaks of: others may have been added since it was made."""
    names: set[str] = set()
    for report in made.named().values():
        names.update(report["left_out"], (one["group"] for one in report["findings"]))
    return Order.of(subgroups(names or None))


def markdown(made: Catalogue, *, notes: str = "", figure: str = "") -> str:
    """The catalogue as Markdown.

    Parameters
    ----------
    notes : a section to put before the lists, as Markdown
    figure : the address of the picture that `figure` makes
    """
    order = _order(made)
    rows = {
        package: [_row(name, report, order) for name, report in sorted(found.items(), key=lambda item: item[0].lower())]
        for package in made.packages()
        if (found := made.reports.get(package))
    }
    return rendered(
        "catalogue.md.jinja", made=made, rows=rows, notes=notes.rstrip(), figure=figure, near=NEAR,
        shapes=", ".join("-".join(map(str, widths)) for widths in WIDTHS),
    )  # fmt: skip


@final
@dataclass(frozen=True, slots=True)
class _Row:
    """One optimizer: cells of the table; its name with its rate; in what way it was run where not the plain one."""

    name: str
    cells: Sequence[str]
    run: str
    how: str


def _row(name: str, report: Mapping[str, Any], order: Order) -> _Row:
    verdicts = {one["group"]: one["verdict"] for one in report["findings"]}
    kept = [group for group in order.names if verdicts.get(group) == "invariant"]
    unsure = [group for group in order.names if verdicts.get(group) == "inconclusive"]
    largest = order.largest(kept)

    def cell(words: Mapping[str, str]) -> str:
        """What is kept of some groups, and what is in doubt, in their words; nothing where none was audited."""
        if verdicts.keys().isdisjoint(words):
            return " "
        return _listed(
            [word for group, word in words.items() if group in largest],
            [word for group, word in words.items() if group in unsure],
        )

    loss = LossScale().name
    places = order.places()
    cells = [cell(places.get(place, {})) for place in PLACES]
    # Units are two places changed together.
    cells.append(cell({group: group.removeprefix("unit ") for group in order.names if order.joints(group)}))
    cells.append("?" if loss in unsure else cell({loss: "any scale"}))
    cells.append("any" if set(LAYOUTS) <= set(kept) else cell(LAYOUTS))
    cells.append(_near(report, order))
    return _Row(name, cells, f"{name} ({report['rate']:g})", report["how"])


def _listed(kept: Sequence[str], unsure: Sequence[str]) -> str:
    parts = [*kept]
    if len(unsure) > SHOWN:
        parts.append(f"{len(unsure)} of them?")
    else:
        parts += [f"{name}?" for name in unsure]
    return ", ".join(parts) or "-"


def _near(report: Mapping[str, Any], order: Order) -> str:
    """What is broken by little, and what is kept to first order."""
    sizes = {
        one["group"]: max(one["first"], one["last"])
        for one in report["findings"]
        if one["verdict"] == "broken" and not isinstance(one["first"], str) and not isinstance(one["last"], str)
    }
    sizes = {name: size for name, size in sizes.items() if size < NEAR}
    curved = {storage.name for storage in STORAGES if storage.curved}
    near = sorted((name for name in order.largest(sizes) if name not in curved), key=lambda name: sizes[name])
    parts = [f"{name} {sizes[name]:.0e}" for name in near[:SHOWN]]
    first = [one["group"] for one in report["findings"] if one["verdict"] == "first order"]
    if first:
        parts.append("to first order: " + ", ".join(order.largest(first)))
    return "; ".join(parts) or " "
