"""Ctrl-C, SIGTERM and SIGKILL: every command ends, its workers too, and what was saved is intact."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from geomkfac.interop import read_arrays
from geomkfac.theorems.certificate import canonical

from .own_processes import PROGRAM, Own, processor_seconds, start, told_of, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")

ONCE = [pytest.param([0], id="once"), pytest.param(range(20), id="20 times", marks=pytest.mark.slow)]
CATEGORICAL = ("--activation", "tanh", "--output", "categorical")
SHORT = ("factors", "network.npz", "data.npz", *CATEGORICAL, "--chunk", "2")
SAVED = (*SHORT, "--state", "sums.npz")
CHUNKS = 20
CERTIFIED = ("verify", "--jobs", "2", "--certificate", "certificates")
INTERRUPTED = "geomkfac: interrupted; no file is left half written.\n"
Command = tuple[str, ...]


def ending(attempt: int) -> tuple[int, int]:
    """A signal and the status of what it has ended: Ctrl-C and SIGTERM in turns."""
    return (signal.SIGINT, 130) if attempt % 2 == 0 else (signal.SIGTERM, 143)


STALLING = f"""
import os, time
replace, saved = os.replace, []

def told(source, target):
    replace(source, target)
    if os.path.basename(target) == "sums.npz":
        saved.append(target)
        print(len(saved), flush=True)
        while len(saved) == {CHUNKS}:
            time.sleep(0.01)

os.replace = told
"""
"""Tells of every chunk that is saved, and does not go on after the last."""


@pytest.fixture
def started(files: Path) -> Any:
    """Start commands, none of which outlives the test."""
    running: list[Own] = []

    def run(*words: object, program: str = PROGRAM) -> Own:
        running.append(start(words, files, program))
        return running[-1]

    yield run
    for one in running:
        one.end()


# -- what was saved ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("attempts", ONCE)
@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["alone", "workers"])
def test_interrupted_factors_leave_no_process_and_go_on_bit_for_bit(
    started: Any, geomkfac: Any, files: Path, monkeypatch: pytest.MonkeyPatch, workers: Command, attempts: Any
) -> None:
    monkeypatch.chdir(files)

    def finished(*words: str) -> Any:
        assert geomkfac(*words, "--out", "out.npz").status == 0
        found = read_arrays("out.npz")
        Path("out.npz").unlink()
        return found

    whole = finished(*SHORT)
    before = {*files.iterdir(), files / "sums.npz"}
    for attempt in attempts:
        number, status = ending(attempt)
        own = started(*SAVED, *workers, program=STALLING + PROGRAM)
        until(lambda own=own, attempt=attempt: own.line() == str(1 + attempt % CHUNKS), "so many chunks are saved")
        # As a terminal sends it, or to the process alone that was started.
        (own.control_c if attempt % 4 < 2 else own.process.send_signal)(number)
        assert own.ended() == (status, INTERRUPTED)
        assert {*files.iterdir()} == before
        resumed = finished(*SAVED)
        assert all((resumed[name] == whole[name]).all() for name in whole)
        Path("sums.npz").unlink()


@pytest.mark.parametrize("attempts", ONCE)
def test_interrupted_statements_leave_no_process_and_whole_certificates(
    started: Any, files: Path, attempts: Any
) -> None:
    for attempt in attempts:
        number, status = ending(attempt)
        folder = files / f"certificates{attempt}"
        own = started("verify", "--jobs", "2", "--certificate", folder)
        until(lambda folder=folder: [*folder.glob("*.json")], "something is certified")
        own.control_c(number)
        found, error = own.ended()
        assert found == status
        assert re.fullmatch(rf"geomkfac: \d+ of \d+ statements are certified .*\n{re.escape(INTERRUPTED)}", error)
        assert [path for path in folder.iterdir() if path.suffix != ".json"] == []
        for path in folder.glob("*.json"):
            document = json.loads(path.read_text("utf-8"))
            assert document.pop("digest") == sha256(canonical(document)).hexdigest()


# -- whenever it comes -------------------------------------------------------------------------------------------
INTERRUPTED_IMPORT = """
import os, sys
started, imports = os.getpid(), []

def seen(event, arguments):
    if event == "os.fork" and {place} == 0:
        os.killpg(0, {number})
    if event == "import" and os.getpid() != started:
        imports.append(arguments[0])
        if len(imports) == {place}:
            os.killpg(0, {number})

sys.addaudithook(seen)
"""
"""A signal as soon as the new process is asked for, and there is nobody to take it; or with one of its imports."""


@pytest.mark.parametrize(
    "places",
    [
        pytest.param([0, 1, 300], id="3 places"),
        pytest.param(range(0, 600, 30), id="20 places", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("attempt", [0, 1], ids=["Ctrl-C", "SIGTERM"])
def test_an_interruption_while_the_program_is_imported_is_silent(started: Any, places: Any, attempt: int) -> None:
    number, status = ending(attempt)
    for place in places:
        program = INTERRUPTED_IMPORT.format(place=place, number=int(number)) + PROGRAM
        found, error = started("info", program=program).ended()
        assert found == status, place
        assert error in ("", INTERRUPTED), place


@pytest.mark.parametrize("attempts", ONCE)
@pytest.mark.parametrize(
    "command",
    [
        pytest.param((*SAVED, "--workers", "2"), id="factors"),
        pytest.param(("verify", "--jobs", "2"), id="verify"),
        pytest.param(("catalogue", "--no-libraries", "--package", "geomkfac", "--jobs", "2"), id="catalogue"),
    ],
)
def test_workers_that_are_just_being_started_end_without_a_word(started: Any, command: Command, attempts: Any) -> None:
    for attempt in attempts:
        own = started(*command, program=STALLING + PROGRAM)
        until(lambda own=own, attempt=attempt: len(own.workers()) > attempt % 2, "workers are started")
        own.control_c()
        assert own.ended() == (130, INTERRUPTED)


# -- inside one long call ----------------------------------------------------------------------------------------
LONG_CALLS = {
    "LAPACK": """
import numpy
matrix = numpy.random.default_rng(0).standard_normal((3000, 3000))
call = lambda: numpy.linalg.eigvals(matrix)
""",
    "FLINT": """
from flint import fmpq, fmpq_mat
matrix = fmpq_mat(700, 700, [fmpq(1, i + j + 1) for i in range(700) for j in range(700)])
call = matrix.inv
""",
}
"""Each takes more than a minute, in which no handler of Python is run."""

INSIDE = """
import os
import geomkfac.cli.network_problem as loading

def long(*_):
    print(os.getpid(), flush=True)
    call()

loading.Measurement.moments = long
"""


def inside_a_long_call(own: Own) -> int:
    """The process of the program, once it is inside."""
    program = int(own.line())
    before = processor_seconds(program)
    until(lambda: processor_seconds(program) - before > 0.05, "it calculates")
    return program


@pytest.mark.parametrize("attempts", ONCE)
@pytest.mark.parametrize("library", LONG_CALLS)
def test_an_interruption_inside_one_long_call_ends_it(started: Any, library: str, attempts: Any) -> None:
    for attempt in attempts:
        number, status = ending(attempt)
        own = started(*SHORT, program=LONG_CALLS[library] + INSIDE + PROGRAM)
        program = inside_a_long_call(own)
        if attempt % 6 < 2:
            own.control_c(number)
        else:
            os.kill(own.process.pid if attempt % 6 < 4 else program, number)
        assert own.ended() == (status, "")


# -- however it dies ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("attempts", ONCE)
@pytest.mark.parametrize("command", [(*SAVED, "--workers", "2"), CERTIFIED], ids=["factors", "verify"])
def test_workers_end_with_a_process_that_is_killed(started: Any, files: Path, command: Command, attempts: Any) -> None:
    for attempt in attempts:
        own = started(*command, program=STALLING + PROGRAM)
        until(lambda own=own: own.workers()[1:], "workers are started")
        if attempt % 2 == 0:
            until(lambda: [*files.glob("sums.npz"), *files.glob("certificates/*.json")], "they have begun")
        # The one that was started, or the one that it waits for.
        os.kill(own.process.pid if attempt % 4 < 2 else own.program(), signal.SIGKILL)
        status, error = own.ended()
        assert status == -signal.SIGKILL
        assert "Traceback" not in error
        for left in (*files.glob("sums.npz"), *files.glob("certificates/*")):
            left.unlink()


IN_A_LONG_CALL = f"""
from geomkfac.networks import worker_processes

if __name__ == "__main__":
    with worker_processes(1)() as executor:
        executor.submit(exec, {LONG_CALLS["FLINT"]!r} + "call()", {{}}).result()
"""


@pytest.mark.parametrize("attempts", ONCE)
def test_so_does_a_worker_inside_one_long_call(started: Any, attempts: Any) -> None:
    for _ in attempts:
        own = started(program=IN_A_LONG_CALL)
        (worker,) = until(lambda own=own: own.workers(), "the worker is started")
        until(lambda own=own, worker=worker: b"flint" in told_of(worker, "maps"), "it has loaded what it calls")
        before = processor_seconds(worker)
        until(lambda worker=worker, before=before: processor_seconds(worker) > before + 2, "it calculates")
        os.kill(own.process.pid, signal.SIGKILL)
        assert own.ended()[0] == -signal.SIGKILL


# -- a library leaves signals alone ------------------------------------------------------------------------------
CAUGHT = """
import multiprocessing, signal, sys
import numpy as np

if __name__ == "__main__":
    before = [signal.getsignal(number) for number in signal.valid_signals()]
    import geomkfac as gk
    from geomkfac.networks import worker_processes

    net, weights, iota = gk.MLP.from_arrays([np.ones((4, 3)), np.ones((2, 4))], [np.ones(4), np.ones(2)])
    data, loss = iota.sample(np.ones((1000, 3)), np.zeros(1000, dtype=int)), gk.Categorical().on(iota)

    def endless(progress):
        print(progress.done, flush=True)
        while True:
            pass

    try:
        net.moments(weights, data, loss, executor=worker_processes(2), chunk_size=10, progress=endless)
    except KeyboardInterrupt:
        print("caught", multiprocessing.active_children(), flush=True)
    print([signal.getsignal(number) for number in signal.valid_signals()] == before)
"""


def test_a_programs_own_interruption_reaches_it_and_its_workers_are_gone(started: Any) -> None:
    own = started(program=CAUGHT)
    until(lambda: own.line() == "10", "a chunk is summed")
    own.control_c()
    assert [own.line(), own.line()] == ["caught []", "True"]
    assert own.ended() == (0, "")
