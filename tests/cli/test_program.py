"""The program itself: its complaints, interruptions, readers that go away, and progress."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import geomkfac.cli.factors as command
from geomkfac.cli import printing as output
from geomkfac.interop import files as file_module

from .conftest import ROOT, run_process

CATEGORICAL = ("--activation", "tanh", "--output", "categorical")
Run = Callable[..., Any]


def test_importing_the_package_loads_no_terminal_library() -> None:
    code = "import sys; from geomkfac import *; print(sorted({'typer', 'rich', 'click'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_names_the_program_and_every_command(geomkfac: Run) -> None:
    finished = geomkfac("--help")
    assert finished.status == 0
    assert finished.output.startswith("Usage: geomkfac")
    for name in ("verify", "factors", "step"):
        assert name in finished.output
        assert geomkfac(name, "--help").output.startswith(f"Usage: geomkfac {name}")


@pytest.mark.parametrize(
    ("words", "expected"),
    [(("factors",), "NETWORK"), (("nope",), "nope"), (("factors", "digits", "digits"), "--output"), ((), "Usage")],
)
def test_a_command_line_that_makes_no_sense_ends_with_status_2(
    geomkfac: Run, words: tuple[str, ...], expected: str
) -> None:
    finished = geomkfac(*words)
    assert finished.status == 2
    assert expected in finished.error
    assert finished.output == ""


def test_under_json_so_does_it_with_a_json_document(geomkfac: Run) -> None:
    finished = geomkfac("factors", "digits", "digits", "--activation", "tanh", "--json")
    assert finished.status == 2
    error = json.loads(finished.error)["error"]
    assert error["type"] == "UsageError"
    assert "--output" in error["message"]


def test_an_interruption_while_a_file_is_written_leaves_none(
    geomkfac: Run, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(file_module.os, "replace", interrupted)
    before = sorted(files.iterdir())
    finished = geomkfac("factors", files / "network.npz", files / "data.npz", *CATEGORICAL, "--out", files / "out.npz")
    assert finished.status == 130
    assert "interrupted" in finished.error
    assert sorted(files.iterdir()) == before


def test_control_c_ends_the_process_with_status_130_and_no_traceback(files: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # background jobs are born deaf to it
        "import geomkfac.cli.network_problem as loading\n"
        "from geomkfac.cli import main\n"
        f"loading.Measurement.moments = lambda *_: os.kill(os.getpid(), {int(signal.SIGINT)})\n"
        "main(sys.argv[1:])\n"
    )
    words = ["factors", "network.npz", "data.npz", *CATEGORICAL, "--out", "out.npz"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = [sys.executable, "-c", code, *words]
    done = subprocess.run(process, cwd=files, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == "geomkfac: interrupted; no file is left half written.\n"
    assert not (files / "out.npz").exists()


@pytest.mark.parametrize("words", [("verify", "--list"), ("factors", "network.npz", "data.npz", *CATEGORICAL)])
def test_a_reader_that_went_away_gets_no_traceback(files: Path, words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = [sys.executable, "-c", "from geomkfac.cli import main; main()", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            process, cwd=files, env=environment, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writing)
    assert done.returncode == 141
    assert done.stderr == ""


def test_the_version_is_printed(files: Path) -> None:
    import geomkfac as gk

    assert run_process(files, "--version").output == f"geomkfac {gk.__version__}\n"


class Terminal(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("patience", "shown"), [(0.0, True), (3600.0, False)])
def test_a_bar_is_shown_on_a_terminal_once_patience_is_over(
    monkeypatch: pytest.MonkeyPatch, patience: float, shown: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(output, "PATIENCE", patience)
    monkeypatch.setenv("TERM", "xterm")
    with output.progress_bar("counting", 2) as advance:
        advance(1)
        # Until the timer's thread has drawn; the bar that is not shown would wait an hour.
        while shown and "counting" not in terminal.getvalue():
            time.sleep(0.01)
    assert ("counting" in terminal.getvalue()) == shown


def test_nothing_but_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    monkeypatch.setattr(output, "PATIENCE", 0.0)
    with output.progress_bar("counting", 1) as advance:
        advance(1)
    assert pipe.getvalue() == ""


@pytest.mark.parametrize("columns", [40, 80])
def test_paragraphs_fold_between_words_on_a_terminal_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    text = "- " + "degenerate " * 30
    monkeypatch.setenv("COLUMNS", str(columns))
    for stream, lines in ((Terminal(), None), (io.StringIO(), 1)):
        monkeypatch.setattr(sys, "stdout", stream)
        output.write_line(text)
        written = stream.getvalue().splitlines()
        assert len(written) == lines if lines else all(len(line) <= columns for line in written)
        assert " ".join(stream.getvalue().split()) == text.strip()


def test_the_condition_number_leaves_null_directions_out() -> None:
    import numpy as np

    assert command.condition(np.diag([0.0, 2.0, 8.0]), 1) == 4.0
    assert command.condition(np.zeros((2, 2)), 2) == float("inf")
