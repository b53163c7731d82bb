"""CuPy's way through the package, on a planted CuPy: see `planted_cupy`.  On a GPU the same tests run on CuPy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SUITE = """
import sys
import pytest
from tests.arrays import planted_cupy

planted_cupy.install()
sys.exit(pytest.main(["-q", "-m", "gpu", "-k", "cupy", "-p", "no:cacheprovider", "-rs", *sys.argv[1:]]))
"""

ERRORS = """
import numpy as np
import pytest
from tests.arrays import planted_cupy

planted_cupy.install()
import cupy
from geomkfac.arrays import floating, floating_namespace
from geomkfac.errors import DeviceError, KindError, NotPositiveError

ns = floating_namespace("cupy", "float64", "cuda")
indefinite = ns.cast_numpy(np.asarray([[4.0, 2.0], [2.0, -1.0]]))
# CuPy itself says nothing, and hands out half of a factor ...
half = cupy.linalg.cholesky(indefinite)
assert np.isfinite(half.get()).all()
# ... which is why it is told to speak.
with pytest.raises(NotPositiveError):
    ns.cholesky(indefinite)
assert planted_cupy._state["linalg"] == "ignore"  # as the user had it
with pytest.raises(TypeError, match="Implicit conversion"):
    np.asarray(indefinite)
with pytest.raises(KindError, match="cupy float64 on cuda:0"):
    floating.default_namespace.asarray(indefinite)
with pytest.raises(KindError, match="keeps 3 digits"):
    floating.namespace_of(cupy.asarray(np.zeros(2, dtype="float16")))
with pytest.raises(DeviceError, match="counted from 0"):
    floating_namespace("cupy", "float64", "cuda:2")
planted_cupy.ndarray.device = property(lambda self: planted_cupy.Device(1))
with pytest.raises(DeviceError, match=r"with cupy\\.cuda\\.Device\\(1\\)"):
    floating.namespace_of(indefinite).asarray(indefinite)
print("passed")
"""


def run(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    return subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def passed(done: subprocess.CompletedProcess[str]) -> int:
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return int(done.stdout.strip().splitlines()[-1].split(" passed")[0].split()[-1])


@pytest.mark.slow
def test_the_gpu_tests_pass_on_a_planted_cupy() -> None:
    done = run(SUITE, "tests/gpu")
    assert passed(done) > 100
    assert "does not count its memory" in done.stdout


def test_the_tour_runs_on_a_planted_cupy() -> None:
    assert passed(run(SUITE, "tests/test_readme_tour.py")) == 2


def test_what_cupy_keeps_to_itself_is_raised() -> None:
    done = run(ERRORS)
    assert done.stdout.strip() == "passed", done.stderr
