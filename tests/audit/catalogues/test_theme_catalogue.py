"""The catalogue: what it holds, what it does when it is interrupted or a worker dies, and the page made of it."""

from __future__ import annotations

import json
import sys
import types
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from geomkfac import updates
from geomkfac.arrays import LIBRARY_ON
from geomkfac.audit import GROUPS, subgroups
from geomkfac.audit.auditing import audit
from geomkfac.audit.catalogues import making as catalogue_making
from geomkfac.audit.catalogues.auditors import audited_in_processes, result_of
from geomkfac.audit.catalogues.document import figure, markdown, page
from geomkfac.audit.catalogues.entries import Entry, entries_of, libraries, rules, versions
from geomkfac.audit.catalogues.file import Catalogue
from geomkfac.audit.catalogues.making import catalogue
from geomkfac.audit.contestants.rules import RuleContestant
from geomkfac.audit.verdicts.other_draws import apart_by_draws, weighed
from geomkfac.audit.verdicts.report import Finding
from geomkfac.display.audit.order import Order
from geomkfac.errors import FileFormatError, MissingExtraError, UnknownNameError, ValuesError
from geomkfac.theorems.instances.basis_groups import GROUPS as TABLE
from geomkfac.theorems.instances.basis_groups import larger_groups
from geomkfac.version import __version__

from ...updates.profiles import is_rule

ROOT = Path(__file__).parents[3]
FOLDER = str(Path(__file__).parent)
DOCS = ROOT / "docs"
SGD = Entry("geomkfac.updates", "GradientDescent()", "geomkfac.updates:GradientDescent")
KFAC = Entry("geomkfac.updates", "Kfac()", "geomkfac.updates:Kfac")


@pytest.fixture(scope="module")
def small():
    """Two rules, of which one has options."""
    made = Catalogue(3, 0, versions(["geomkfac"]))
    for entry in (SGD, Entry("geomkfac.updates", "Kfac(joint=False)", "geomkfac.updates:Kfac", {"joint": False})):
        made.keep(entry, result_of(entry, 3, 0))
    made.keep(KFAC, {"reason": "it is missing a |word|, <b>"})
    return made


# -- entries -----------------------------------------------------------------------------------------------
def test_every_rule_is_an_entry_and_can_be_made():
    made = rules()
    assert len({entry.key for entry in made}) == len(made) == len({entry.name for entry in made})
    listed = {entry.where.partition(":")[2] for entry in made}
    missing = {name for name in updates.__all__ if is_rule(getattr(updates, name))} - listed
    assert not missing, f"list {sorted(missing)} in RULES of geomkfac/audit/catalogues/entries.py"
    assert listed <= set(updates.__all__)
    assert all(callable(entry.optimizer()) for entry in made)


def test_libraries_are_entries_or_have_a_reason():
    from geomkfac.audit.libraries import UPDATES

    made, missing = libraries()
    assert {entry.package for entry in made} | set(missing) >= set(UPDATES)
    assert not {entry.package for entry in made} & set(missing)
    assert all(missing.values())


def test_classes_of_a_package_are_its_own_concrete_optimizers():
    torch = pytest.importorskip("torch")
    names = {entry.name for entry in entries_of("torch.optim")}
    assert {"SGD", "Adam", "LBFGS", "SparseAdam"} <= names
    assert "Optimizer" not in names
    passed_on = types.ModuleType("passed_on")

    class Own(torch.optim.SGD):
        pass

    Own.__module__ = "passed_on.inside"
    passed_on.Own = passed_on.Alias = Own
    passed_on.Adam = torch.optim.Adam
    sys.modules["passed_on"] = passed_on
    try:
        assert [entry.name for entry in entries_of("passed_on")] == ["Alias"]
    finally:
        del sys.modules["passed_on"]


def test_a_package_that_is_not_there_is_listed_as_missing():
    pytest.importorskip("torch")
    made = catalogue(("no_such_package",), with_rules=False, with_libraries=False)
    assert "not installed" in made.missing["no_such_package"]
    assert "no_such_package: the package no_such_package is not installed" in markdown(made)


# -- verdicts ----------------------------------------------------------------------------------------------
class Clipped:
    """Gradient descent with the step cut entry by entry: orthogonal changes are lost, but for small gradients."""

    def __call__(self, network):
        return [layer.weights - network.rate * np.clip(layer.gradient, -1, 1) for layer in network.layers]


def clipped():
    return RuleContestant(Clipped(), "clipped")


def verdicts_of(entry):
    return {one["group"]: one["verdict"] for one in result_of(entry, 3, 0)["report"]["findings"]}


def test_what_one_network_keeps_by_luck_another_one_refutes(monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "clipped", clipped)
    here = types.ModuleType("clipped_here")
    here.clipped = clipped
    monkeypatch.setitem(sys.modules, "clipped_here", here)
    entry = Entry("here", "clipped", "clipped_here:clipped", call=True)
    first = audit(clipped(), groups=["input orthogonal"], steps=3, networks=1)
    assert first.verdict("input orthogonal") == "invariant"
    # Of the catalogue, and of a plain audit.
    verdicts = verdicts_of(entry)
    assert (verdicts["input orthogonal"], verdicts["input permutation"]) == ("broken", "invariant")
    assert audit(clipped(), groups=["input orthogonal"], steps=3).verdict("input orthogonal") == "broken"
    # What is kept by right stays.
    assert verdicts_of(SGD)["input orthogonal"] == "invariant"


def test_other_draws_explain_what_the_same_draws_break():
    pytest.importorskip("torch")
    from geomkfac.audit.contestants.pytorch.optimizer import TorchContestant
    from geomkfac.audit.twins.problem import random_problem
    from geomkfac.audit.verdicts.discrepancies import Discrepancies

    from ..contestants.pytorch import planted

    contestant = TorchContestant(planted.Draws, 0.1)
    apart = apart_by_draws(Discrepancies(contestant, random_problem(), 0.1, 3))
    assert min(apart) > 0
    assert contestant.seed == 0
    broken = Finding("input permutation", "broken", apart[0], apart[1], 1e-12, 1.0, 1.0, 0.0)
    assert weighed(broken, apart).verdict == "inconclusive"
    assert "another draw" in weighed(broken, apart).hint
    assert weighed(replace(broken, first=10 * apart[0]), apart).verdict == "broken"
    assert weighed(replace(broken, verdict="invariant"), apart).verdict == "invariant"
    still = TorchContestant(planted.Planted, 0.1)
    assert apart_by_draws(Discrepancies(still, random_problem(), 0.1, 3)) == (0.0, 0.0)
    assert weighed(broken, (0.0, 0.0)) == broken


# -- files and processes -----------------------------------------------------------------------------------
def test_a_catalogue_is_what_its_file_says(small, tmp_path):
    small.write(tmp_path / "c.json")
    again = Catalogue.read(tmp_path / "c.json")
    assert again.to_json() == small.to_json()
    assert again.named() == small.named()
    lines = (tmp_path / "c.json").read_text(encoding="utf-8").splitlines()
    assert sum('"findings"' in line for line in lines) == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "c.json"]
    kept = again.reports["geomkfac.updates"]["GradientDescent()"]
    assert {finding["group"] for finding in kept["findings"]} | set(kept["left_out"]) == {one.name for one in GROUPS}


@pytest.mark.parametrize("text", ["no json", "[]", '{"format": 0}', '{"format": 1, "columns": []}'])
def test_a_file_of_another_kind_is_refused(text, tmp_path):
    (tmp_path / "c.json").write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError):
        Catalogue.read(tmp_path / "c.json")


def test_an_interrupted_catalogue_goes_on_where_it_was(tmp_path, monkeypatch):
    path, asked = tmp_path / "c.json", []

    def in_turn(entries, *, finished, **settings):
        for entry in entries:
            asked.append(entry.name)
            if len(asked) == 2:
                raise KeyboardInterrupt
            finished(entry, {"reason": "planted"})

    monkeypatch.setattr(catalogue_making, "audited_in_processes", in_turn)
    monkeypatch.setattr(catalogue_making, "rules", lambda: [SGD, KFAC])
    settings = {"packages": (), "with_libraries": False, "file": path}
    with pytest.raises(KeyboardInterrupt):
        catalogue(**settings)
    assert list(Catalogue.read(path).unaudited["geomkfac.updates"]) == ["GradientDescent()"]
    catalogue(**settings)
    assert asked == ["GradientDescent()", "Kfac()", "Kfac()"]
    catalogue(**settings)
    assert len(asked) == 3
    catalogue(**settings, again=True)
    assert len(asked) == 5
    with pytest.raises(ValuesError, match="seed 0 there, 1 here"):
        catalogue(**settings, seed=1)
    monkeypatch.setitem(LIBRARY_ON, "device1", "array_api_strict")
    with pytest.raises(ValuesError, match="device cpu there, device1 here"):
        catalogue(**settings, device="device1")


def test_a_catalogue_of_a_device_says_so_and_needs_one(tmp_path, monkeypatch):
    given = []

    def in_turn(entries, *, finished, settings, **others):
        given.append(settings)
        for entry in entries:
            finished(entry, result_of(entry, *settings))

    monkeypatch.setitem(LIBRARY_ON, "device1", "array_api_strict")
    monkeypatch.setattr(catalogue_making, "audited_in_processes", in_turn)
    monkeypatch.setattr(catalogue_making, "rules", lambda: [SGD])
    made = catalogue((), with_libraries=False, steps=2, device="device1", file=tmp_path / "c.json")
    assert given == [(2, 0, "device1")]
    (report,) = made.reports["geomkfac.updates"].values()
    assert report["how"] == "on device1"
    assert Catalogue.read(tmp_path / "c.json").device == "device1"
    assert ", on device1." in markdown(made)
    with pytest.raises(UnknownNameError, match="'cpu', 'cuda'"):
        catalogue((), with_libraries=False, device="gpu")
    if find_spec("cupy") is None:
        with pytest.raises(MissingExtraError, match=r"geomkfac\[gpu\]"):
            catalogue((), with_libraries=False, device="cuda")


def test_files_without_a_device_are_of_the_cpu(small):
    plain = small.to_json()
    assert plain.pop("device") == "cpu"
    assert Catalogue.from_json(plain).device == "cpu"


def planted(name):
    return Entry("p", name, f"planted_processes:{name}", call=True)


def audited(entries, limit, jobs=2):
    """What is found for entries, by their names."""
    found = {}
    sys.path.insert(0, FOLDER)
    try:
        audited_in_processes(
            entries, jobs=jobs, limit=limit, modules=("geomkfac.audit.auditing", "no_such_module"),
            settings=(2, 0, "cpu"), finished=lambda entry, result: found.update({entry.name: result}),
        )  # fmt: skip
    finally:
        sys.path.remove(FOLDER)
    return found


def test_workers_that_turn_in_circles_or_die_take_nothing_else_along():
    """The limit is of processor time: a machine that does other things as well does not use it up."""
    entries = [
        planted("turns"),
        replace(SGD, widths=(1, 1), data=4),
        planted("dies"),
        Entry("p", "unknown", "geomkfac.updates:NoSuchRule"),
        planted("raises"),
        replace(KFAC, widths=(1, 1), data=4),
    ]
    found = audited(entries, limit=3.0)
    assert set(found) == {entry.name for entry in entries}
    assert found["turns"]["reason"] == "its audit took longer than 3 seconds"
    assert "ended with status 3" in found["dies"]["reason"]
    assert "NoSuchRule" in found["unknown"]["reason"]
    assert found["raises"]["reason"] == "it stopped with ZeroDivisionError: planted"
    assert found["Kfac()"]["report"]["optimizer"].startswith("Kfac(")
    assert "report" in found["GradientDescent()"]


def test_what_waits_for_ever_is_ended_by_the_clock_and_the_next_one_gets_another_worker():
    # Both wait for ever, so that no load of the machine makes one of them finish in time, or late.
    entries = [planted("hangs"), replace(planted("hangs"), name="hangs too")]
    found = audited(entries, limit=0.1, jobs=1)
    reasons = {result["reason"] for result in found.values()}
    assert set(found) == {"hangs", "hangs too"}
    assert reasons == {"its audit took longer than 0.1 seconds"}


# -- pages -------------------------------------------------------------------------------------------------
def test_the_table_says_where_each_rule_stands(small):
    text = markdown(small, notes="## Surprises\n\nNone.", figure="lattice.svg")
    rows = {line.split(" | ")[0][2:]: line.split(" | ")[1:] for line in text.splitlines() if line.startswith("| ")}
    assert rows["GradientDescent()"][:4] == ["orthogonal", "orthogonal", "shift, orthogonal", "shift, orthogonal"]
    # The largest linear groups, where weights are multiplied with what moves.
    linear = {one.name for one in TABLE.values() if one.audited and one.shift is None}
    largest = {name for name in linear if not linear & larger_groups(name)}
    *moving, before, after = rows["Kfac(joint=False)"][:4]
    assert [set(cell.split(", ")) for cell in moving] == [largest, largest]
    assert (before, after) == ("affine", "affine")
    assert "![" in text
    assert "(lattice.svg)" in text
    assert "## Surprises" in text
    assert "it is missing a \\|word\\|, \\<b>." in text
    assert f"geomkfac {__version__}" in text


def test_the_page_and_the_figure_hold_every_rule(small):
    html, drawn = page(small), figure(small)
    assert "Kfac(joint=False)" in html
    assert "missing a |word|, &lt;b&gt;" in html
    assert drawn.startswith("<svg")


def test_the_command_writes_all_of_it(tmp_path, capsys, monkeypatch, small):
    from geomkfac.cli import main

    report = small.reports["geomkfac.updates"]["GradientDescent()"]

    def at_once(entries, *, finished, **settings):
        for entry in entries:
            finished(entry, {"report": report} if entry is SGD else {"reason": "planted"})

    monkeypatch.setattr(catalogue_making, "audited_in_processes", at_once)
    monkeypatch.setattr(catalogue_making, "rules", lambda: [SGD, KFAC])
    monkeypatch.setattr(catalogue_making, "entries_of", lambda package: [Entry(package, "One", f"{package}:One")])
    names = {kind: str(tmp_path / f"c.{kind}") for kind in ("json", "html", "markdown")}
    arguments = [word for kind, path in names.items() for word in (f"--{kind}", path)]
    (tmp_path / "figures").mkdir()
    with pytest.raises(SystemExit) as stop:
        main(["catalogue", "--package", "torch.optim", "--no-libraries", *arguments,
              "--figure", str(tmp_path / "figures" / "l.svg")])  # fmt: skip
    out = capsys.readouterr().out
    assert stop.value.code == 0
    assert "1 audited, 2 could not be." in out
    assert "(figures/l.svg)" in Path(names["markdown"]).read_text(encoding="utf-8")
    assert json.loads(Path(names["json"]).read_text(encoding="utf-8"))["unaudited"]["torch.optim"] == {"One": "planted"}
    with pytest.raises(SystemExit) as stop:
        main(["catalogue", "--json", str(tmp_path / "nowhere" / "c.json")])
    assert stop.value.code == 2
    assert "Make the directory first" in capsys.readouterr().err


# -- the one in docs ---------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def published():
    return Catalogue.read(DOCS / "invariance.json")


def test_the_published_page_is_what_its_numbers_make(published):
    notes = (DOCS / "invariance-surprises.md").read_text(encoding="utf-8")
    text = markdown(published, notes=notes, figure="figures/invariance-lattice.svg")
    assert (DOCS / "invariance.md").read_text(encoding="utf-8") == text
    assert (DOCS / "figures" / "invariance-lattice.svg").read_text(encoding="utf-8") == figure(published)
    assert (DOCS / "invariance.html").read_text(encoding="utf-8") == page(published)
    # One number more or less shows.
    other = Catalogue.from_json(published.to_json())
    other.unaudited.setdefault("torch.optim", {})["Another"] = "planted"
    assert markdown(other, notes=notes, figure="figures/invariance-lattice.svg") != text


def test_published_verdicts_agree_with_the_order_of_the_groups(published):
    """Who keeps a group keeps its subgroups: a verdict that says otherwise would be wrong."""
    order = Order.of(subgroups())
    for name, report in published.named().items():
        verdicts = {finding["group"]: finding["verdict"] for finding in report["findings"]}
        assert order.contradicted(verdicts) == (), name
        if name == "Kfac()":
            assert order.contradicted(verdicts | {"input sign": "broken"}) == ("input sign",)


def test_published_reference_rules_have_their_proven_profiles(published):
    found = published.reports["geomkfac.updates"]

    def kept(name):
        return {one["group"] for one in found[name]["findings"] if one["verdict"] == "invariant"}

    everything = {one["group"] for one in found["Kfac()"]["findings"]}
    assert kept("Kfac()") == everything - {"nonlinear", "loss scale"}
    assert kept("Kfac(joint=False)") < kept("Kfac()")
    assert "activation translation" not in kept("Kfac(joint=False)")
    for name, report in found.items():
        for one in report["findings"]:
            assert one["exact"] in ("", one["verdict"]), (name, one["group"])
