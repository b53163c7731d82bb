"""Commands in processes of a test's own, which it can interrupt, and whose descendants it can find."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
"""Seconds until a test gives up.  Commands end in a hundredth of that, but the machine may be busy."""
MARK = "GEOMKFAC_TEST_MARK"
PROGRAM = "from geomkfac.cli import main; main()"
HEARING = """import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
"""
"""What runs in the background is born deaf to Ctrl-C, and what nohup runs to the end of its terminal."""


def until(condition: Callable[[], Any], what: str) -> Any:
    """What a condition gives when it holds."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError(f"in {PATIENCE:g} s it did not happen: {what}")


@dataclass
class Own:
    """A command that runs, in a session of its own, and all its descendants: they inherit its mark."""

    process: subprocess.Popen[str]
    mark: str

    def line(self) -> str:
        """The next line that the program has printed."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def control_c(self, number: int = signal.SIGINT) -> None:
        """A signal to all of the session, as a terminal sends it."""
        os.killpg(self.process.pid, number)

    def processes(self) -> list[int]:
        """Its processes that have not ended."""
        mark = f"{MARK}={self.mark}".encode()
        numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [number for number in numbers if mark in told_of(number, "environ").split(b"\0")]

    def program(self) -> int:
        """The process that the one that was started waits for."""
        return next(process for process in self.processes() if fields_of(process)[1] == str(self.process.pid))

    def workers(self) -> list[int]:
        """Its processes that were started to share the work."""
        return [process for process in self.processes() if b"spawn_main" in told_of(process, "cmdline")]

    def ended(self) -> tuple[int, str]:
        """Its status and what it has said on standard error, once all its processes are gone."""
        try:
            _, error = self.process.communicate(timeout=PATIENCE)
            until(lambda: not self.processes(), "all its processes end")
        finally:
            self.end()
        return self.process.returncode, error

    def end(self) -> None:
        """Leave nothing behind, whatever a test has found."""
        for process in self.processes():
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.communicate()


def told_of(process: int, what: str) -> bytes:
    """What the system tells of a process; nothing of one that has ended."""
    try:
        return Path(f"/proc/{process}/{what}").read_bytes()
    except OSError:
        return b""


def fields_of(process: int) -> list[str]:
    """What the system tells of a process, from its state on; the second is its parent."""
    return told_of(process, "stat").decode().rpartition(")")[2].split()


def processor_seconds(process: int) -> float:
    """That a process has used so far."""
    fields = fields_of(process)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(words: Iterable[object], folder: Path, program: str = PROGRAM, error: int = subprocess.PIPE) -> Own:
    """Start a command, by a program of Python that may plant something first; its errors go to a pipe, or there."""
    mark = secrets.token_hex(8)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", MARK: mark}
    command = [sys.executable, "-W", "error", "-c", HEARING + program, *map(str, words)]
    process = subprocess.Popen(
        command, cwd=folder, env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=error, start_new_session=True,
    )  # fmt: skip
    return Own(process, mark)
