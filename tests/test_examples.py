"""The examples run as a user runs them, and end in their own asserts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))

LONG = {"04_convolution_on_digits"}


def run(script: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", str(script), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(script, id=script.stem, marks=[pytest.mark.slow] * (script.stem in LONG))
        for script in EXAMPLES
    ],
)
def test_the_example_runs_to_its_end(script: Path, tmp_path: Path) -> None:
    finished = run(script, tmp_path)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout


@pytest.mark.parametrize(
    "name",
    [
        "02_kfac_of_a_digit_classifier.py",
        pytest.param("04_convolution_on_digits.py", marks=pytest.mark.slow),
        pytest.param("06_the_proximal_objective.py", marks=pytest.mark.slow),
    ],
)
def test_an_example_writes_its_figure(name: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    finished = run(ROOT / "examples" / name, tmp_path, "--figure", "figure.png")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_project_that_tests_its_optimizer_passes_its_tests(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    project = ROOT / "examples" / "testing_an_optimizer"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(project)]
    finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "6 passed, 1 xfailed" in finished.stdout
