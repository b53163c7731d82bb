"""The catalogue as a document: a table of optimizers and groups, versions, and what could not be audited."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from geomkfac.audit.catalogues.file import Catalogue
from geomkfac.audit.twins.groups import PLACES, LossScale, subgroups
from geomkfac.audit.twins.storage import STORAGES
from geomkfac.audit.verdicts.other_networks import WIDTHS
from geomkfac.display.audit.lattice import lattice_svg
from geomkfac.display.audit.order import Order

NEAR = 0.01
"""A discrepancy below this is a near-invariance."""
SHOWN = 3
"""Near-invariances of one optimizer that are listed; the largest groups among those that are near."""
LAYOUTS = {"order of parameters": "order", "transposed weights": "transposed", "joint bias": "joint",
           "one flat vector": "flat"}  # fmt: skip
HEAD = """# What optimizers are invariant to

Every optimizer below trained a small network and its double: the same function, written in other coordinates. It is
invariant to a group of changes where the two networks stay one function, up to the round-off that was measured for
this very optimizer. What is compared, and how a verdict comes about, is in [audit.md](audit.md).

All numbers, to search, sort and look into, are on [one page](invariance.html) that needs no network. Both are made by
`geomkfac catalogue` of [invariance.json](invariance.json); make them again with

```bash
geomkfac catalogue --json docs/invariance.json --markdown docs/invariance.md \\
  --html docs/invariance.html --figure docs/figures/invariance-lattice.svg --notes docs/invariance-surprises.md
```
"""
SHAPES = ", ".join("-".join(map(str, widths)) for widths in WIDTHS)
READING = f"""## How to read the table

A column names the largest groups of changes of one kind of space that an optimizer keeps: *affine* contains all others;
*unit-wise affine* contains translation (*shift*, on the side of pre-activations and outputs) and *diagonal*, which
contains *scalar*; *orthogonal* contains *permutation* and *sign*. *units* are hidden units changed together with their
activation, where the columns before do not say it already; *loss* says whether a multiple of the loss changes nothing;
*layout*, whether parameters may come in another order, transposed, with the bias in one matrix with the weights, or in
one flat vector. A dash is none, and an empty cell means that there is nothing to ask. *nearly* has what is broken, but
by less than {NEAR:g} after one step and after all, relative to how far the functions moved, with that size; *to first
order*, what is kept by short steps. A question mark stands for what is inconclusive.

All hold for the optimizer's default arguments and {{steps}} steps, of small fully connected networks with tanh units.
What is called invariant was so on three networks, of widths {SHAPES}, with losses times 1, 300 and 3000 or
less where that diverges; numbers are of the first network, or of the first one that refuted an invariance. Learning
rates, and how each optimizer was run, are in the list after the table.
"""


def page(made: Catalogue, title: str = "What optimizers are invariant to") -> str:
    """The catalogue as one HTML page that needs no network."""
    from geomkfac.display.audit.audit_page import audit_page

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
    return "\n".join(_lines(made, notes, figure)).rstrip() + "\n"


def _lines(made: Catalogue, notes: str, figure: str) -> Iterator[str]:
    order = _order(made)
    count = sum(map(len, made.reports.values()))
    refused = sum(map(len, made.unaudited.values()))
    yield HEAD
    yield "Made with " + ", ".join(f"{name} {version}" for name, version in made.versions.items()) + (
        "." if made.device == "cpu" else f", on {made.device}."
    )
    yield f"{count} optimizers, rules and updates of libraries were audited; {refused} could not be, for reasons below."
    yield ""
    if figure:
        yield f"![The groups, larger ones above smaller ones, with the optimizers that keep them]({figure})"
        yield ""
    yield READING.format(steps=made.steps)
    for package in made.packages():
        found = made.reports.get(package, {})
        if not found:
            continue
        yield f"## {package}"
        yield ""
        yield "| optimizer | input | activation | pre-activation | output | units | loss | layout | nearly |"
        yield "|---|---|---|---|---|---|---|---|---|"
        for name in sorted(found, key=str.lower):
            yield "| " + " | ".join([name, *_row(found[name], order)]) + " |"
        yield ""
    if notes:
        yield notes.rstrip()
        yield ""
    yield from _runs(made)
    yield from _refusals(made)


def _row(report: Mapping[str, Any], order: Order) -> list[str]:
    """Cells of one optimizer."""
    verdicts = {one["group"]: one["verdict"] for one in report["findings"]}
    kept = [name for name in order.names if verdicts.get(name) == "invariant"]
    unsure = [name for name in order.names if verdicts.get(name) == "inconclusive"]
    largest = order.largest(kept)

    def cell(names: Mapping[str, str]) -> str:
        """Of some groups, by what they are called there."""
        if not verdicts.keys() & names.keys():
            return " "
        called = [[word for name, word in names.items() if name in some] for some in (largest, unsure)]
        return _listed(*called)

    def at(place: str) -> dict[str, str]:
        return {name: name.removeprefix(place) for name in order.names if name.startswith(place)}

    cells = [cell(at(f"{place} ")) for place in PLACES]
    cells.append(cell(at("unit ") | {"logistic to tanh": "logistic to tanh"}))
    loss = LossScale().name
    cells.append("any scale" if loss in kept else "?" if loss in unsure else "-" if loss in verdicts else " ")
    cells.append("any" if set(LAYOUTS) <= set(kept) else cell(LAYOUTS))
    cells.append(_near(report, order))
    return cells


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


def _runs(made: Catalogue) -> Iterator[str]:
    """Rates, and in what way optimizers were run where that is not the plain one."""
    yield "## How they were run"
    yield ""
    yield "With the learning rate in brackets, which is the optimizer's default where nothing else is said."
    yield ""
    for package in made.packages():
        plain, told = [], []
        for name, report in sorted(made.reports.get(package, {}).items(), key=lambda item: item[0].lower()):
            shown = f"{name} ({report['rate']:g})"
            if report["how"]:
                told.append(f"- {shown}: {report['how']}.")
            else:
                plain.append(shown)
        if plain:
            yield f"- {package}, as they are: {', '.join(plain)}."
        yield from told
    yield ""


def _refusals(made: Catalogue) -> Iterator[str]:
    yield "## What could not be audited"
    yield ""
    for package in made.packages():
        for name, reason in sorted(made.unaudited.get(package, {}).items()):
            yield f"- {package}: {name}. {_sentence(reason)}"
    for package, reason in made.missing.items():
        yield f"- {package}: {_sentence(reason)}"
    if not made.missing and not any(made.unaudited.values()):
        yield "Nothing."


def _sentence(text: str) -> str:
    plain = text.strip().replace("|", "\\|").replace("<", "\\<")
    return plain if plain.endswith((".", "!", "?")) else f"{plain}."
