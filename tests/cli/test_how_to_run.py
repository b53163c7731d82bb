"""Data larger than memory, workers, and runs that are interrupted, on the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geomkfac.cli import printing as output
from geomkfac.interop import read_arrays, read_data
from geomkfac.networks import Progress

CATEGORICAL = ("--activation", "tanh", "--output", "categorical")
ROOT = Path(__file__).parents[2]
Run = Callable[..., Any]


def mapped(folder: Path) -> Path:
    """The data of data.npz as a folder of .npy files."""
    X, y = read_data(folder / "data.npz")
    there = folder / "mapped"
    there.mkdir(exist_ok=True)
    np.save(there / "X.npy", X)
    np.save(there / "y.npy", y)
    return there


def factors(geomkfac: Run, folder: Path, data: Path, *words: object) -> tuple[dict[str, Any], Any]:
    out = folder / "out.npz"
    done = geomkfac("factors", folder / "network.npz", data, *CATEGORICAL, "--out", out, "--json", *words)
    assert done.status == 0, done.error
    return read_arrays(out), done.json


@pytest.mark.parametrize(
    "words",
    [(), ("--chunk", 7), ("--memory", "40 kB"), ("--memory", "1GiB"), ("--workers", 2), ("--workers", 1, "--chunk", 7)],
    ids=lambda words: " ".join(map(str, words)) or "plain",
)
def test_however_it_is_run_the_factors_are_the_same(geomkfac: Run, files: Path, words: tuple[object, ...]) -> None:
    expected, told = factors(geomkfac, files, files / "data.npz")
    found, also = factors(geomkfac, files, mapped(files), *words)
    for name, matrix in expected.items():
        # Sums of 40 data and 3 covectors in another order.
        assert np.abs(found[name] - matrix).max() <= 120 * 2.0**-52 * max(np.abs(matrix).max(), 1.0)
    assert abs(also["loss"] - told["loss"]) <= 40 * 2.0**-52 * told["loss"]


def test_a_step_is_shared_as_well(geomkfac: Run, files: Path) -> None:
    words = ("step", files / "network.npz", mapped(files), *CATEGORICAL, "--damping", "0.1", "--json")
    alone, shared = geomkfac(*words), geomkfac(*words, "--workers", "2", "--chunk", "7")
    assert alone.status == shared.status == 0, shared.error
    for name in ("loss_before", "loss_after", "predicted_decrease"):
        # Solves damped by 0.1 of forms of size about 1: a condition number of about 10, twice.
        assert abs(alone.json[name] - shared.json[name]) <= 100 * 120 * 2.0**-52


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--chunk", "5", "--memory", "1GB"), "--chunk and --memory"),
        (("--workers", "2", "--scheduler", "tcp://x:1"), "--workers and --scheduler"),
        (("--workers", "0"), "--workers must be positive"),
        (("--memory", "lots"), "positive number of bytes"),
        (("--memory", "100"), "too small for the factors themselves"),
        (("--state", "sums.txt"), "ends in .npz"),
        (("--state", "nowhere/sums.npz"), "Make it first"),
        (("--state", "same.npz", "--out", "same.npz"), "name one file"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    geomkfac: Run, files: Path, words: tuple[str, ...], said: str
) -> None:
    done = geomkfac("factors", files / "network.npz", files / "data.npz", *CATEGORICAL, *words)
    assert done.status == 2
    assert said in done.error


@pytest.mark.parametrize(
    ("missing", "said"), [("X.npy", "holds no X.npy"), ("y.npy", "came    : X.npy"), (None, "cannot be mapped")]
)
def test_a_folder_that_holds_no_data_is_refused(geomkfac: Run, files: Path, missing: str | None, said: str) -> None:
    folder = mapped(files)
    if missing is None:
        (folder / "X.npy").write_text("no array")
    else:
        (folder / missing).unlink()
    done = geomkfac("factors", files / "network.npz", folder, *CATEGORICAL)
    assert done.status == 2
    assert said in done.error


def test_without_dask_a_scheduler_names_the_extra(
    geomkfac: Run, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    words = ("factors", files / "network.npz", files / "data.npz", *CATEGORICAL, "--scheduler", "tcp://localhost:1")
    done = geomkfac(*words)
    assert done.status == 2
    assert "geomkfac[distributed]" in done.error


DYING = """
import os, signal
replace, saved = os.replace, []

def dying(source, target):
    if os.path.basename(target) == "sums.npz":
        if len(saved) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        saved.append(target)
    replace(source, target)

os.replace = dying
from geomkfac.cli import main
main()
"""
"""The program, killed while it saves the fourth of its chunks."""


def test_a_command_that_is_killed_goes_on_from_its_state(geomkfac: Run, files: Path) -> None:
    data, state = files / "data.npz", files / "sums.npz"
    words = ["factors", files / "network.npz", data, *CATEGORICAL, "--chunk", 2, "--state", state]
    command = [sys.executable, "-c", DYING, *map(str, words)]
    killed = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert json.loads(bytes(read_arrays(state)["about"]))["done"] == 6
    resumed, _ = factors(geomkfac, files, data, "--chunk", 2, "--state", state)
    whole, _ = factors(geomkfac, files, data, "--chunk", 2)
    assert all((resumed[name] == whole[name]).all() for name in whole)


def test_a_pipe_gets_a_line_about_the_end_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    times = iter([0.0, 10.0, 31.0, 31.0, 40.0])
    monkeypatch.setattr(output.time, "monotonic", lambda: next(times))
    with output.data_progress("metric", 100) as tell:
        for done in (10, 30, 40):
            tell(Progress(done, 100, float(done)))
    assert capsys.readouterr().err == "geomkfac: metric: 30 of 100 data; 30 s, about 70 s left\n"
