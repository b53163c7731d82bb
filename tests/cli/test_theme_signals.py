"""Ctrl-C, SIGTERM and SIGKILL: every command ends, its workers too, and what was saved is intact."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from geomkfac.interop import read_arrays
from geomkfac.theorems.certificate import canonical

from .own_processes import PROGRAM, Own, processor_seconds, start, told_of, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")

OFTEN = pytest.param(range(20), id="20 times", marks=pytest.mark.slow)
ONCE = [pytest.param([0], id="once"), OFTEN]
SHARED = pytest.mark.slow
"""Of what others do 20 times by the same mechanism, six are tried: each signal twice."""
CATEGORICAL = ("--activation", "tanh", "--output", "categorical")
SHORT = ("factors", "network.npz", "data.npz", *CATEGORICAL, "--chunk", "2")
SAVED = (*SHORT, "--state", "sums.npz")
CHUNKS = 20
CERTIFIED = ("verify", "--jobs", "2", "--certificate", "certificates")
CATALOGUE = ("catalogue", "--no-libraries", "--package", "geomkfac", "--jobs", "2")
INTERRUPTED = "geomkfac: interrupted; no file is left half written.\n"
Command = tuple[str, ...]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupted(own: Own, attempt: int) -> int:
    """Send each signal in turn, and each to all, to the process that was started, to that which works; the status."""
    number = SIGNALS[attempt % 3]
    if attempt // 3 % 3 == 0:
        own.control_c(number)
    else:
        os.kill(own.process.pid if attempt // 3 % 3 == 1 else own.program(), number)
    return 128 + number


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

    def run(*words: object, program: str = PROGRAM, error: int = subprocess.PIPE) -> Own:
        running.append(start(words, files, program, error))
        return running[-1]

    yield run
    for one in running:
        one.end()


# -- what was saved ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("workers", "attempts"),
    [
        pytest.param((), [1], id="alone"),
        pytest.param(("--workers", "2"), [0], id="workers"),
        pytest.param((), range(20), id="alone, 20 times", marks=pytest.mark.slow),
        pytest.param(("--workers", "2"), range(20), id="workers, 20 times", marks=pytest.mark.slow),
    ],
)
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
        own = started(*SAVED, *workers, program=STALLING + PROGRAM)
        until(lambda own=own, attempt=attempt: own.line() == str(1 + attempt % CHUNKS), "so many chunks are saved")
        status = interrupted(own, attempt)
        assert own.ended() == (status, INTERRUPTED)
        assert {*files.iterdir()} == before
        resumed = finished(*SAVED)
        assert all((resumed[name] == whole[name]).all() for name in whole)
        Path("sums.npz").unlink()


@pytest.mark.parametrize("attempts", [OFTEN])
def test_interrupted_statements_leave_no_process_and_whole_certificates(
    started: Any, files: Path, attempts: Any
) -> None:
    for attempt in attempts:
        folder = files / f"certificates{attempt}"
        own = started("verify", "--jobs", "2", "--certificate", folder)
        until(lambda folder=folder: [*folder.glob("*.json")], "something is certified")
        status = interrupted(own, attempt)
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
imports = []

def seen(event, arguments):
    if event == "os.fork" and {place} == 0:
        os.killpg(0, {number})
    if event == "import" and (imports or arguments[0] == "geomkfac.cli.program"):
        imports.append(arguments[0])
        if len(imports) == {place}:
            os.killpg(0, {number})

sys.addaudithook(seen)
"""
"""A signal when the new process is asked for, and there is nobody yet to take it; or with one of its imports."""


@pytest.mark.parametrize(
    "places",
    [
        pytest.param([1, 300, 0], id="3 places"),
        pytest.param(range(0, 600, 30), id="20 places", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("number", SIGNALS[:2])
def test_an_interruption_while_the_program_is_imported_is_silent(started: Any, places: Any, number: int) -> None:
    for place in places:
        program = INTERRUPTED_IMPORT.format(place=place, number=int(number)) + PROGRAM
        found, error = started("info", program=program).ended()
        assert found == 128 + number, place
        assert error in ("", INTERRUPTED), place


@pytest.mark.parametrize(
    ("command", "attempts"),
    [
        pytest.param((*SAVED, "--workers", "2"), [2], id="factors"),
        pytest.param((*SAVED, "--workers", "2"), range(20), id="factors, 20 times", marks=pytest.mark.slow),
        pytest.param(("verify", "--jobs", "2"), range(6), id="verify, 6 times", marks=SHARED),
        pytest.param(CATALOGUE, range(6), id="catalogue, 6 times", marks=SHARED),
    ],
)
def test_workers_that_are_just_being_started_end_without_a_word(started: Any, command: Command, attempts: Any) -> None:
    for attempt in attempts:
        own = started(*command, program=STALLING + PROGRAM)
        worker = until(lambda own=own, attempt=attempt: own.workers()[attempt % 2 :], "workers are started")[0]
        # They import for longer than that; at once they have not come to what could write a traceback.
        seconds = 0.05 * (attempt % 4)
        until(lambda worker=worker, seconds=seconds: processor_seconds(worker) >= seconds, "it imports")
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


def until_inside(own: Own) -> None:
    """Wait until the program is inside: it takes time of the processor, and there is nothing else that could."""
    program = int(own.line())
    before = processor_seconds(program)
    until(lambda: processor_seconds(program) > before + 0.3, "it calculates")


@pytest.mark.parametrize(
    ("library", "attempts"),
    [
        pytest.param("LAPACK", [0], id="LAPACK"),
        pytest.param("FLINT", [7], id="FLINT"),
        pytest.param("LAPACK", range(20), id="LAPACK, 20 times", marks=pytest.mark.slow),
        pytest.param("FLINT", range(20), id="FLINT, 20 times", marks=pytest.mark.slow),
    ],
)
def test_an_interruption_inside_one_long_call_ends_it(started: Any, library: str, attempts: Any) -> None:
    for attempt in attempts:
        own = started(*SHORT, program=LONG_CALLS[library] + INSIDE + PROGRAM)
        until_inside(own)
        status = interrupted(own, attempt)
        assert own.ended() == (status, "")


@pytest.mark.slow
def test_a_terminal_gets_its_cursor_back_which_a_progress_bar_had_hidden(started: Any) -> None:
    here, terminal = os.openpty()
    own = started(*SHORT, program=LONG_CALLS["FLINT"] + INSIDE + PROGRAM, error=terminal)
    until_inside(own)
    own.control_c()
    assert own.ended()[0] == 130
    assert os.read(here, 1000).endswith(b"\x1b[?25h\r\n")
    for descriptor in (here, terminal):
        os.close(descriptor)


# -- however it dies ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("command", "attempts"),
    [
        pytest.param((*SAVED, "--workers", "2"), [0], id="factors"),
        pytest.param((*SAVED, "--workers", "2"), range(20), id="factors, 20 times", marks=pytest.mark.slow),
        pytest.param(CERTIFIED, range(6), id="verify, 6 times", marks=SHARED),
    ],
)
def test_workers_end_with_a_process_that_is_killed(started: Any, files: Path, command: Command, attempts: Any) -> None:
    for attempt in attempts:
        own = started(*command, program=STALLING + PROGRAM)
        until(lambda own=own: own.workers()[1:], "workers are started")
        if attempt % 2 == 0:
            until(lambda: [*files.glob("sums.npz"), *files.glob("certificates/*.json")], "they have begun")
        # The one that was started, or the one that it waits for.
        os.kill(own.process.pid if attempt % 4 < 2 else own.program(), signal.SIGKILL)
        # A worker that was just being started may say that what it was to read has ended: it has run nothing of ours.
        status, _ = own.ended()
        assert status == -signal.SIGKILL
        for left in (*files.glob("sums.npz"), *files.glob("certificates/*")):
            left.unlink()


@pytest.mark.slow
def test_statements_whose_worker_is_killed_are_told_of_in_a_sentence(started: Any) -> None:
    for wanted in (1, 2, 1, 2):
        own = started("verify", "--jobs", "2")
        workers = until(lambda own=own, wanted=wanted: own.workers()[wanted - 1 :], "workers are started")
        os.kill(workers[0], signal.SIGKILL)
        status, error = own.ended()
        assert (status, "a process that ran statements has died" in error) == (2, True)
        assert "Traceback" not in error


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
        until(lambda worker=worker, before=before: processor_seconds(worker) > before + 1, "it calculates")
        os.kill(own.process.pid, signal.SIGKILL)
        assert own.ended()[0] == -signal.SIGKILL


# -- what is left alone ------------------------------------------------------------------------------------------
def test_a_signal_that_was_ignored_when_the_program_started_is_ignored(started: Any) -> None:
    own = started(*SAVED, program="signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + STALLING + PROGRAM)
    until(lambda: own.line() == "1", "a chunk is saved")
    own.control_c()
    until(lambda: own.line() == str(CHUNKS), "all are saved")
    own.control_c(signal.SIGTERM)
    assert own.ended() == (143, INTERRUPTED)


def test_a_command_line_that_is_run_in_this_process_leaves_its_signals_alone(geomkfac: Any) -> None:
    before = [signal.getsignal(number) for number in signal.valid_signals()]
    assert geomkfac("--version").status == 0
    assert [signal.getsignal(number) for number in signal.valid_signals()] == before


CAUGHT = """
import multiprocessing, signal, sys
import numpy as np

if __name__ == "__main__":
    before = [signal.getsignal(number) for number in signal.valid_signals()]
    import geomkfac as gk
    import geomkfac.cli.program
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
