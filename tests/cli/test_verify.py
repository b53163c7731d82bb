"""`verify`, as the verifier uses it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import geomkfac.theorems.suite as suite
from geomkfac.errors import VacuousCheckError
from geomkfac.theorems import STATEMENTS, Evidence, Report

from .conftest import run_process

Run = Callable[..., Any]


def test_the_list_names_every_statement(geomkfac: Run) -> None:
    finished = geomkfac("verify", "--list")
    assert finished.status == 0
    for name in STATEMENTS:
        assert name in finished.output
    assert [one["id"] for one in geomkfac("verify", "--list", "--json").json] == list(STATEMENTS)
    assert [one["id"] for one in geomkfac("verify", "LG-3.3", "--list", "--json").json] == ["LG-3.3"]


def test_a_statement_that_holds_ends_with_status_0_and_shows_its_bound(geomkfac: Run) -> None:
    finished = geomkfac("verify", "LG-T2.1", "--trials", "2")
    assert finished.status == 0, finished.output
    assert "passes with probability" in " ".join(finished.output.split())
    assert "1 of 1 statements hold" in finished.output


def test_the_json_document_has_everything_a_program_needs(geomkfac: Run) -> None:
    document = geomkfac("verify", "LG-3.3", "--trials", "1", "--seed", "3", "--json").json
    assert document["holds"] is True
    (statement,) = document["statements"]
    assert {"id", "source", "title", "statement", "latex", "hypotheses", "holds", "seed", "results"} <= set(statement)
    assert statement["seed"] == 3
    assert {"grade", "name", "holds", "text", "details", "seconds"} <= set(statement["results"][0])


def test_a_failure_ends_with_status_1_and_says_what_it_means(
    geomkfac: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(statement: Any, **options: Any) -> Report:
        return Report(statement, (Evidence("X", "planted", False, "FAILS: 1 is not 2"),), 1, 0)

    monkeypatch.setattr(suite, "run", failing)
    finished = geomkfac("verify", "LG-T2.1")
    assert finished.status == 1
    assert "Failed: LG-T2.1" in finished.output
    assert "What a failure means" in finished.output
    assert "X, exact" in finished.output


def test_a_statement_that_stops_has_failed_and_the_others_still_run(
    geomkfac: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(statement: Any, **options: Any) -> Report:
        if statement.id == "LG-T2.1":
            raise VacuousCheckError("the check could not have failed.")
        return Report(statement, (Evidence("X", "planted", True, "holds"),), 1, 0)

    monkeypatch.setattr(suite, "run", stopping)
    finished = geomkfac("verify", "LG-T2.1", "LG-3.3")
    assert finished.status == 1
    assert "VacuousCheckError: the check" in finished.output
    assert "1 of 2 statements hold" in finished.output
    assert "could not be run to its end" in finished.output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("LG-T2.2",), "LG-T2.1"),
        (("--trials", "0"), "trials"),
        (("--seed", "-1"), "seed"),
        (("--trials", "x"), "trials"),
        (("--jobs", "0"), "jobs"),
        (("--resume",), "--certificate"),
        (("--mutants", "--explain"), "do not go together"),
        (("--list", "--html", "page.html"), "do not go together"),
        (("--explain", "--json"), "do not go together"),
        (("LG-3.3", "--html", "no/such/directory/page.html"), "cannot be written"),
    ],
)
def test_bad_input_is_refused(geomkfac: Run, words: tuple[str, ...], expected: str) -> None:
    finished = geomkfac("verify", *words)
    assert finished.status == 2
    assert expected in finished.error


def test_the_program_runs_in_a_process_of_its_own_without_warnings(tmp_path: Path) -> None:
    finished = run_process(tmp_path, "verify", "LG-3.3", "--trials", "1")
    assert finished.status == 0, finished.error
    assert finished.error == ""


def test_the_mutants_alone_are_a_table_of_statements_and_faults(geomkfac: Run) -> None:
    finished = geomkfac("verify", "LG-3.3", "GK-2", "--mutants")
    assert finished.status == 0
    text = " ".join(finished.output.split())
    assert "a factor 2" in text
    assert "SURVIVES" not in text
    count = len(STATEMENTS["LG-3.3"].mutants) + len(STATEMENTS["GK-2"].mutants)
    assert f"{count} of {count} mutants refuted" in text


def test_a_mutant_that_survives_ends_with_status_1(geomkfac: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def surviving(statement: Any, **options: Any) -> Report:
        assert statement.checks == ()
        return Report(statement, (Evidence("M", "planted", False, "SURVIVES 4 trials"),), 1, 0)

    monkeypatch.setattr(suite, "run", surviving)
    finished = geomkfac("verify", "LG-3.3", "--mutants")
    assert finished.status == 1
    assert "SURVIVES" in finished.output
    assert "went unseen" in finished.output


def test_the_explanation_tells_what_was_drawn_compared_and_how_the_bound_arises(geomkfac: Run) -> None:
    finished = geomkfac("verify", "LG-T2.1", "--explain", "--trials", "2")
    assert finished.status == 0
    text = " ".join(finished.output.split())
    for part in ("What is assumed", "drawn at random:", "compared: ", "the bound: "):
        assert part in text
    for part in ("What must fail", "Faults planted", *STATEMENTS["LG-T2.1"].hypotheses):
        assert " ".join(part.split()) in text
    (bound,) = {result["details"]["probability"] for result in _exact(geomkfac)[:1]}
    assert f"2 trials multiply to {bound:.1e}" in text


def _exact(geomkfac: Run) -> list[Any]:
    (statement,) = geomkfac("verify", "LG-T2.1", "--trials", "2", "--json").json["statements"]
    return [result for result in statement["results"] if result["grade"] == "X"]


def test_processes_change_nothing_but_the_time(geomkfac: Run) -> None:
    words = ("verify", "LG-3.3", "LG-3.4", "--trials", "1", "--json")
    documents = [geomkfac(*words, "--jobs", number).json for number in ("1", "2")]
    for document in documents:
        for statement in document["statements"]:
            del statement["seconds"]
            for result in statement["results"]:
                del result["seconds"]
    assert documents[0] == documents[1]


def test_the_page_is_written_whole_and_needs_no_network(geomkfac: Run, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert geomkfac("verify", "LG-3.3", "--html", str(path), "--trials", "1").status == 0
    text = path.read_text(encoding="utf-8")
    assert "LG-3.3" in text
    assert "src=" not in text
    assert "http" not in text.replace("http://www.w3.org/1998/Math/MathML", "")


def test_certificates_are_written_and_an_interrupted_run_is_gone_on_with(
    geomkfac: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, directory = ("verify", "LG-3.3", "LG-3.4", "--trials", "1", "--certificate"), tmp_path / "certificates"
    real = suite.run

    def interrupted(statement: Any, **options: Any) -> Report:
        if statement.id == "LG-3.4":
            raise KeyboardInterrupt
        return real(statement, **options)

    monkeypatch.setattr(suite, "run", interrupted)
    stopped = geomkfac(*words, str(directory))
    assert stopped.status == 130
    assert "1 of 2 statements" in stopped.error
    assert "--resume" in stopped.error
    before = {path.name: path.stat().st_mtime_ns for path in directory.iterdir()}
    assert before
    assert all(name.startswith("LG-3.3.") for name in before)

    def only_the_rest(statement: Any, **options: Any) -> Report:
        assert statement.id == "LG-3.4"
        return real(statement, **options)

    monkeypatch.setattr(suite, "run", only_the_rest)
    refused = geomkfac(*words, str(directory))
    assert refused.status == 2
    assert "not empty" in refused.error
    finished = geomkfac(*words, str(directory), "--resume")
    assert finished.status == 0
    assert "2 of 2 statements hold" in finished.output
    assert {name: (directory / name).stat().st_mtime_ns for name in before} == before
    assert (directory / "manifest.json").exists()

    other = geomkfac(*words, str(directory), "--resume", "--seed", "1")
    assert other.status == 2
    assert "cannot be resumed" in other.error
