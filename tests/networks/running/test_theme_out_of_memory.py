"""Exhausted memory: the error says how large a chunk was taken, how large a one would fit, and what to do."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays.floats import memory
from geomkfac.arrays.floats.floating import FloatingNamespace
from geomkfac.arrays.floats.memory import asked_for, chunk_that_fits, is_out_of_memory
from geomkfac.errors import DeviceMemoryError, GeomkfacError
from geomkfac.networks.running.memory_limit import AtOnce
from geomkfac.networks.running.tasks import MomentsTask

from ...device_programs import chain

TORCH = "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.11 GiB"
MESSAGES = {
    "torch": (RuntimeError, TORCH, 20 * 2**20),
    "torch on the host": (
        RuntimeError,
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)",
        4000000000000,
    ),
    "cupy": (MemoryError, "Out of memory allocating 8,000,000,000 bytes (allocated so far: 512 bytes).", 8 * 10**9),
    "jax": (RuntimeError, "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4096 bytes.", 4096),
    "numpy": (MemoryError, "Unable to allocate 7.45 GiB for an array with shape (1000,)", round(7.45 * 2**30)),
    "python": (MemoryError, "", None),
    "cublas": (RuntimeError, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", None),
}


@pytest.mark.parametrize("library", MESSAGES)
def test_the_errors_of_all_libraries_are_known(library: str) -> None:
    kind, message, asked = MESSAGES[library]
    assert is_out_of_memory(kind(message))
    assert asked_for(kind(message)) == asked


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError(TORCH), DeviceMemoryError("x")]
)
def test_other_errors_are_left_alone(error: Exception) -> None:
    assert not is_out_of_memory(error)


@given(count=st.integers(1, 10**6), needed=st.integers(1, 10**12), free=st.integers(0, 10**12))
def test_a_chunk_that_fits_takes_no_more_than_is_free_nor_than_half(count: int, needed: int, free: int) -> None:
    found = chunk_that_fits(count, needed // 2, needed - needed // 2, free)
    assert 1 <= found <= max(1, count // 2)
    # needed / count bytes for each datum.
    assert found == 1 or found * needed <= free * count
    assert chunk_that_fits(count, None, None, free) == chunk_that_fits(count, None, None, None) == max(1, count // 2)


def planted(monkeypatch: pytest.MonkeyPatch, error: Exception, largest: int) -> None:
    """A namespace without room for products of more than so many rows."""
    matmul = FloatingNamespace.matmul

    def failing(self: Any, a: Any, b: Any) -> Any:
        if a.ndim == 2 and a.shape[0] > largest:
            raise error
        return matmul(self, a, b)

    monkeypatch.setattr(FloatingNamespace, "matmul", failing)


def uses(problem: Any) -> dict[str, Any]:
    net, weights, _, data, loss = problem
    return {
        "loss": lambda **how: net.loss(weights, data, loss, **how),
        "differential": lambda **how: net.differential(weights, data, loss, **how),
        "metric": lambda **how: net.kfac_metric(weights, data, loss, **how),
    }


@pytest.mark.parametrize("use", ["loss", "differential", "metric"])
def test_the_chunk_that_is_advised_runs(use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    run = uses(chain(torch.as_tensor))[use]
    run(chunk_size=12)
    planted(monkeypatch, torch.cuda.OutOfMemoryError(TORCH), largest=6)
    with pytest.raises(DeviceMemoryError, match=r"torch float64(?s:.*)12 data at a time(?s:.*)chunk_size=6") as caught:
        run(chunk_size=12)
    assert isinstance(caught.value, MemoryError)
    assert isinstance(caught.value, GeomkfacError)
    assert TORCH in str(caught.value)
    assert isinstance(caught.value.__cause__, torch.cuda.OutOfMemoryError)
    run(chunk_size=int(re.search(r"chunk_size=(\d+)", str(caught.value))[1]))


def test_one_datum_that_does_not_fit_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    net, weights, _, data, loss = chain(np.asarray)
    planted(monkeypatch, MemoryError(), largest=0)
    with pytest.raises(DeviceMemoryError, match="One datum alone"):
        net.loss(weights, data, loss, chunk_size=1)


@pytest.mark.parametrize("missing", [1, 0])
def test_factors_that_do_not_fit_are_told_apart_from_data_that_do_not(
    missing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, weights, _, data, loss = chain(np.asarray)
    sides = [side for layer in net.layers for side in (layer.domain.dim + 1, layer.codomain.dim)]
    needed = 8 * (sum(side**2 for side in sides) + max(sides) ** 2)
    planted(monkeypatch, MemoryError("Unable to allocate 6.71 GiB"), largest=6)
    monkeypatch.setattr(memory, "free_memory", lambda namespace: needed - missing)
    with pytest.raises(DeviceMemoryError) as caught:
        net.kfac_metric(weights, data, loss, chunk_size=12)
    said = str(caught.value)
    assert ("no chunk_size helps" in said) == bool(missing), said
    assert ("Pass chunk_size=" in said) != bool(missing), said
    if missing:
        assert f"{needed / 2**10:.1f} KiB for the factors" in said


def test_factors_that_stand_in_memory_already_are_not_asked_for_again() -> None:
    net, weights, _, data, loss = chain(np.asarray)
    layers, metric = net._layers(weights), net._metric(loss, "exact", 1, 0)
    task = MomentsTask(net, layers, AtOnce(12, 100), None, metric, "expand")
    sums = task.start()
    sides = [side for layer in net.layers for side in (layer.domain.dim + 1, layer.codomain.dim)]
    assert task.lacking(sums) == sum(side**2 for side in sides) + max(sides) ** 2
    task.take(sums, next(data.pieces(12)))
    assert task.lacking(sums) == max(sides) ** 2


def test_a_failure_of_another_kind_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    net, weights, _, data, loss = chain(np.asarray)
    planted(monkeypatch, RuntimeError("illegal instruction"), largest=6)
    with pytest.raises(RuntimeError, match="illegal instruction") as caught:
        net.loss(weights, data, loss, chunk_size=12)
    assert not isinstance(caught.value, GeomkfacError)


PROGRAM = """
import re, resource, sys
from pathlib import Path
import numpy as np
import geomkfac as gk

count, room = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
Ws, bs = [rng.standard_normal((400, 10)), rng.standard_normal((10, 400))], [np.zeros(400), np.zeros(10)]
net, weights, iota = gk.MLP.from_arrays(Ws, bs)
data = iota.sample(rng.standard_normal((count, 10)), np.arange(count) % 10)
loss = gk.Categorical().on(iota)
net.kfac_metric(weights, data, loss, fisher="sampled", chunk_size=1000)  # imports and tables
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + room * 2**20,) * 2)
size, tries = count, 0
while True:
    try:
        net.kfac_metric(weights, data, loss, chunk_size=size)
        break
    except gk.errors.DeviceMemoryError as error:
        print(error)
        size, tries = int(re.search(r"chunk_size=(\\d+)", str(error))[1]), tries + 1
print("fits after", tries)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of address space are Linux's")
@pytest.mark.parametrize(("count", "room"), [(20000, 100), pytest.param(60000, 300, marks=pytest.mark.slow)])
def test_a_host_without_memory_is_survived(count: int, room: int) -> None:
    command = [sys.executable, "-c", PROGRAM, str(count), str(room)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert f"{count} data at a time" in shown.stdout
    # A chunk fails before its peak, so that an advice may have to be followed more than once: count / 2**6 is
    # what the room holds, ten covectors of 400 numbers for each datum, several times over.
    assert 1 <= int(shown.stdout.split()[-1]) <= 6
