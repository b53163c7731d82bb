"""What is registered in one place stands wherever such things are listed; what is missing is named, with what to do.

How something is added is said in docs/extending.md.  Here, each function of a name that begins with `missing` looks at
a table and gives one line for everything that does not follow from it; each is also shown a table with something
that was added by halves.  Profiles of update rules, targets of families and grades of statements are asked for by the
tests that need them, in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, ClassVar

import pytest

import geomkfac as gk
from geomkfac import maps, metrics, updates
from geomkfac.cli import options
from geomkfac.errors import ValuesError
from geomkfac.maps import activations
from geomkfac.maps.activations.by_name import ACTIVATIONS, WITH_PARAMETERS, with_parameters
from geomkfac.maps.activations.by_name import registered as registered_activation
from geomkfac.metrics import families
from geomkfac.metrics.families.by_name import FAMILIES
from geomkfac.metrics.families.by_name import registered as registered_family
from geomkfac.theorems import CHAPTERS, STATEMENTS
from geomkfac.theorems.registry import in_chapters

from .updates.profiles import FLOATING, RATIONAL, is_rule, without_profile

CONVENTIONS = (Path(__file__).parents[1] / "docs" / "conventions.md").read_text(encoding="utf-8")


def rows_of(document: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading of a document in Markdown, row by row."""
    section = document.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    for file in iter_modules(package.__path__, f"{package.__name__}."):
        yield import_module(file.name)


def missing_classes(
    modules: Iterable[ModuleType], wanted: Callable[[type], bool], listed: Iterable[str], what: str
) -> list[str]:
    """The classes that these modules define and that are not listed."""
    return [
        f"{name} of {module.__name__} {what}"
        for module in modules
        for name, found in vars(module).items()
        if isinstance(found, type) and found.__module__ == module.__name__ and wanted(found) and name not in set(listed)
    ]


def missing_exports(rooms: Iterable[ModuleType], names: Iterable[str]) -> list[str]:
    return [
        f"{room.__name__} does not export {name}: import it in its __init__.py, and list it in __all__"
        for room in rooms
        for name in names
        if name not in room.__all__ or not hasattr(room, name)
    ]


Missing = Callable[..., list[str]]


def by_halves(missing: Missing, table: Mapping[str, Any], more: Mapping[str, Any], document: str) -> list[str]:
    """What is said of these entries, or this document, beyond what is said of the table as it is."""
    already = missing(table)
    return [line for line in missing({**table, **more}, document) if line not in already]


def nothing(missing: list[str]) -> None:
    assert not missing, "\n".join(["something was added by halves:", *missing])


# -- activations -----------------------------------------------------------------------------------------
def missing_of_activations(table: Mapping[str, Any], document: str = CONVENTIONS) -> list[str]:
    """What does not follow from a table of activations: exports, the command line's help, docs/conventions.md."""
    rows = {re.match(r"\w*", cells[0])[0]: cells[2] for cells in rows_of(document, "Activations")}  # type: ignore[index]
    found = []
    for name, phi in table.items():
        there = phi.pytorch.module if phi.pytorch is not None else ""
        found += missing_exports([maps], [name, type(phi).__name__])
        if rows.get(name) != there:
            found.append(f"docs/conventions.md has no row for {name} with {there!r} in torch.nn")
        if not phi.formula:
            found.append(f"{type(phi).__name__} does not say its formula")
        if name not in options.ACTIVATION.help:
            found.append(f"the help text of --activation leaves out {name}")
    gone = rows.keys() - table.keys() - WITH_PARAMETERS.keys()
    return found + [f"docs/conventions.md has a row for {name}, which is no activation" for name in sorted(gone)]


def unregistered_activations(modules: Iterable[ModuleType]) -> list[str]:
    made = {type(phi).__name__ for phi in ACTIVATIONS.values()}
    made |= {str(make.__annotations__["return"]) for make in WITH_PARAMETERS.values()}
    return missing_classes(
        modules,
        lambda found: issubclass(found, maps.Activation) and not isabstract(found),
        made,
        "is not registered: write `name = registered(...)` below it, and import that in geomkfac/maps/__init__.py",
    )


def test_nothing_that_lists_activations_leaves_one_out() -> None:
    nothing(missing_of_activations(ACTIVATIONS) + missing_exports([maps], WITH_PARAMETERS))
    assert all(name in options.ACTIVATION.help for name in WITH_PARAMETERS)
    assert {"polynomial", *ACTIVATIONS} <= {cells[0].partition("(")[0] for cells in rows_of(CONVENTIONS, "Activations")}


def test_every_activation_is_registered() -> None:
    nothing(unregistered_activations(modules_of(activations)))


@dataclass(frozen=True)
class Planted(maps.Activation):
    """An activation that nobody has written down anywhere else."""

    name: ClassVar[str] = "planted"

    def value_and_derivative(self, ns: Any, z: Any) -> tuple[Any, Any]:
        return 2 * z, 2 * ns.ones(z.shape)

    def second_derivative(self, ns: Any, z: Any) -> Any:
        return ns.zeros(z.shape)


def planted_in(module: str, thing: type) -> ModuleType:
    """A file that defines a class."""
    made = ModuleType(module)
    thing.__module__ = module
    setattr(made, thing.__name__, thing)
    return made


def test_an_activation_that_was_added_by_halves_is_named_with_what_it_lacks() -> None:
    assert by_halves(missing_of_activations, ACTIVATIONS, {"planted": Planted()}, CONVENTIONS) == [
        "geomkfac.maps does not export planted: import it in its __init__.py, and list it in __all__",
        "geomkfac.maps does not export Planted: import it in its __init__.py, and list it in __all__",
        "docs/conventions.md has no row for planted with '' in torch.nn",
        "Planted does not say its formula",
        "the help text of --activation leaves out planted",
    ]
    spoilt = CONVENTIONS.replace("| Mish |", "| |").replace("| tanh |", "| tnah |")
    assert by_halves(missing_of_activations, ACTIVATIONS, {}, spoilt) == [
        "docs/conventions.md has no row for tanh with 'Tanh' in torch.nn",
        "docs/conventions.md has no row for mish with 'Mish' in torch.nn",
        "docs/conventions.md has a row for tnah, which is no activation",
    ]
    assert unregistered_activations([planted_in("geomkfac.maps.activations.planted", Planted)]) == [
        "Planted of geomkfac.maps.activations.planted is not registered: write `name = registered(...)` below it, "
        "and import that in geomkfac/maps/__init__.py"
    ]


def test_a_name_that_is_taken_is_refused() -> None:
    for again in (
        lambda: registered_activation(maps.tanh),
        lambda: with_parameters(maps.elu),
        lambda: registered_family(gk.Poisson),
    ):
        with pytest.raises(ValuesError, match="of this name already"):
            again()


# -- output families -------------------------------------------------------------------------------------
def missing_of_families(table: Mapping[str, Any], document: str = CONVENTIONS) -> list[str]:
    """What does not follow from a table of families: exports, the command line's help, docs/conventions.md."""
    named = (re.match(r"`(\w+)\(.*\)`, (\w+)", cells[0]) for cells in rows_of(document, "Output families"))
    rows = {match[2]: match[1] for match in named if match}
    found = []
    for name, make in table.items():
        made = make()
        found += missing_exports([metrics, gk], [type(made).__name__])
        if rows.get(name) != type(made).__name__:
            found.append(f"docs/conventions.md has no row for `{type(made).__name__}()`, {name}")
        if made.pytorch is not None and f"`{made.pytorch.module}(" not in document:
            found.append(f"docs/conventions.md does not say what {made.pytorch.module} has to do with {name}")
        if not made.outputs:
            found.append(f"{type(made).__name__} does not say what its outputs are")
        if f"{name} ({made.outputs})" not in options.OUTPUT.help:
            found.append(f"the help text of --output leaves out {name}")
    gone = sorted(rows.keys() - table.keys())
    return found + [f"docs/conventions.md has a row for {name}, which is no family" for name in gone]


def unregistered_families(modules: Iterable[ModuleType]) -> list[str]:
    made = {type(make()).__name__ for make in FAMILIES.values()} | {"SideBySide"}  # which needs parts
    return missing_classes(
        modules,
        lambda found: issubclass(found, metrics.OutputFamily) and not isabstract(found),
        made,
        "is not registered: write `@registered` above it, and import it in geomkfac/metrics/__init__.py",
    )


def test_nothing_that_lists_families_leaves_one_out() -> None:
    nothing(missing_of_families(FAMILIES))


def test_every_family_is_registered() -> None:
    nothing(unregistered_families(modules_of(families)))


class Halved(metrics.families.poisson.Poisson):  # type: ignore[name-defined,misc]
    """A family that nobody has written down anywhere else."""

    name: ClassVar[str] = "halved"
    outputs: ClassVar[str] = ""


def test_a_family_that_was_added_by_halves_is_named_with_what_it_lacks() -> None:
    assert by_halves(missing_of_families, FAMILIES, {"halved": Halved}, CONVENTIONS) == [
        "geomkfac.metrics does not export Halved: import it in its __init__.py, and list it in __all__",
        "geomkfac does not export Halved: import it in its __init__.py, and list it in __all__",
        "docs/conventions.md has no row for `Halved()`, halved",
        "Halved does not say what its outputs are",
        "the help text of --output leaves out halved",
    ]
    spoilt = CONVENTIONS.replace("`Poisson()`, poisson", "`Poisson()`, piosson").replace("`MSELoss(", "`L2Loss(")
    assert by_halves(missing_of_families, FAMILIES, {}, spoilt) == [
        "docs/conventions.md does not say what MSELoss has to do with gaussian",
        "docs/conventions.md has no row for `Poisson()`, poisson",
        "docs/conventions.md has a row for piosson, which is no family",
    ]
    assert unregistered_families([planted_in("geomkfac.metrics.families.halved", Halved)]) == [
        "Halved of geomkfac.metrics.families.halved is not registered: write `@registered` above it, "
        "and import it in geomkfac/metrics/__init__.py"
    ]


# -- update rules ----------------------------------------------------------------------------------------
def unlisted_rules(modules: Iterable[ModuleType]) -> list[str]:
    return missing_classes(
        modules,
        lambda found: is_rule(found) and not found.__name__.startswith("_"),
        updates.__all__,
        "is no name of geomkfac.updates: import it in its __init__.py, and list it in __all__",
    )


def test_every_rule_is_a_name_of_its_room_and_has_a_profile() -> None:
    nothing(unlisted_rules(modules_of(updates)) + without_profile(updates.__all__, [*RATIONAL, *FLOATING]))


class Step:
    """A rule that nobody has written down anywhere else."""

    def __call__(self, network: Any) -> list[Any]:
        return [layer.weights for layer in network.layers]


def test_a_rule_that_was_added_by_halves_is_named_with_what_it_lacks() -> None:
    assert unlisted_rules([planted_in("geomkfac.updates.step", Step)]) == [
        "Step of geomkfac.updates.step is no name of geomkfac.updates: import it in its __init__.py, and list it in "
        "__all__"
    ]
    profiles = [rule for rule in (*RATIONAL, *FLOATING) if not isinstance(rule, updates.Foof)]
    assert without_profile(updates.__all__, profiles) == [
        "give Foof a profile in RATIONAL or FLOATING of tests/updates/profiles.py"
    ]


# -- statements ------------------------------------------------------------------------------------------
def test_statements_stand_in_chapters_whatever_file_they_come_from() -> None:
    assert in_chapters(reversed(STATEMENTS.values())) == CHAPTERS


def test_a_new_statement_of_ours_comes_last_of_ours() -> None:
    new = replace(STATEMENTS["GK-3"], id="GK-100")
    found = in_chapters([new, *STATEMENTS.values()])
    assert found["Beyond the sources"] == (*CHAPTERS["Beyond the sources"], new)


def test_a_statement_without_a_place_and_a_place_without_a_statement_are_named() -> None:
    others = [one for id, one in STATEMENTS.items() if id != "LG-T2.1"]
    with pytest.raises(ValuesError) as refused:
        in_chapters([*others, replace(STATEMENTS["LG-T2.1"], id="LG-T2.l")])
    assert "without a place: LG-T2.l\n" in str(refused.value)
    assert "without a statement: LG-T2.1\n" in str(refused.value)
    with pytest.raises(ValuesError, match="two statements have the id 'E9'"):
        in_chapters([*STATEMENTS.values(), replace(STATEMENTS["E9"], title="another")])
