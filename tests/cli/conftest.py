"""A small network and data on disk, and the program run as a user runs it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geomkfac.cli import main
from geomkfac.interop import write_arrays, write_network

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Finished:
    """What a command left: status, output, error output."""

    status: int
    output: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.output)


@pytest.fixture
def geomkfac(capsys: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """Run the program in this process."""

    def run(*words: object) -> Finished:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        return Finished(int(stop.value.code or 0), captured.out, captured.err)

    return run


def run_process(folder: Path, *words: object) -> Finished:
    """Run the program in a process of its own."""
    command = [sys.executable, "-W", "error", "-c", "from geomkfac.cli import main; main()", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with network.npz (5-4-3) and data.npz (40 data, labels)."""
    rng = np.random.default_rng(0)
    widths = [5, 4, 3]
    Ws = [rng.standard_normal((m, n)) for n, m in itertools.pairwise(widths)]
    write_network(tmp_path / "network.npz", Ws, [rng.standard_normal(m) for m in widths[1:]])
    write_arrays(tmp_path / "data.npz", {"X": rng.standard_normal((40, 5)), "y": rng.integers(0, 3, 40)})
    return tmp_path
