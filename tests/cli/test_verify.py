"""`verify`, as the verifier uses it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import geomkfac.cli.verify as command
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
    document = geomkfac("verify", "LG-T2.1", "--trials", "1", "--seed", "3", "--json").json
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

    monkeypatch.setattr(command, "run", failing)
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

    monkeypatch.setattr(command, "run", stopping)
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
    ],
)
def test_bad_input_is_refused(geomkfac: Run, words: tuple[str, ...], expected: str) -> None:
    finished = geomkfac("verify", *words)
    assert finished.status == 2
    assert expected in finished.error


def test_the_program_runs_in_a_process_of_its_own_without_warnings(tmp_path: Path) -> None:
    finished = run_process(tmp_path, "verify", "LG-T2.1", "--trials", "1")
    assert finished.status == 0, finished.error
    assert finished.error == ""
