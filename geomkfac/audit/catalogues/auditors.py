"""Audits in processes of their own, each with a time limit: what hangs or dies takes nothing else along.

The limit is of processor time, as a busy machine must not change what a catalogue says; and of many times that by the
clock, for what waits and does nothing.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, final

from geomkfac.audit.catalogues.entries import Entry
from geomkfac.audit.contestants.contestant import UnauditableError
from geomkfac.errors import GeomkfacError
from geomkfac.networks.running.processes import WorkerProcess

PATIENCE = 10.0
"""By the clock, an audit may take this many times its limit of processor time."""
LATE = -signal.SIGPROF if hasattr(signal, "SIGPROF") else None
"""The status of a process that was ended at that limit; None on systems that limit nothing but the clock."""


def result_of(entry: Entry, steps: int, seed: int, device: str = "cpu") -> dict[str, Any]:
    """``{"report": ...}`` as `AuditReport.to_json` makes it, or ``{"reason": ...}`` why there is none."""
    from geomkfac.audit.auditing import audit
    from geomkfac.audit.verdicts.other_networks import MOST

    try:
        report = audit(
            entry.optimizer(), rate=entry.rate, steps=steps, seed=seed, widths=entry.widths or None, data=entry.data,
            networks=MOST, device=device,
        )  # fmt: skip
        return {"report": report.to_json()}
    except GeomkfacError as error:
        return {"reason": " ".join(str(error).split())}
    except Exception as error:  # One that is broken must not end the catalogue.
        return {"reason": f"it stopped with {type(error).__name__}: {' '.join(str(error).split())}"}


def _serve(connection: Connection, modules: Sequence[str], settings: tuple[int, int, str], limit: float) -> None:
    """What a worker does: imports once, says so, and audits what it is sent; a signal ends it at the limit."""
    warnings.simplefilter("ignore")
    for name in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    connection.send({})
    with contextlib.suppress(EOFError):
        while True:
            entry = connection.recv()
            if hasattr(signal, "setitimer"):
                signal.setitimer(signal.ITIMER_PROF, limit)
            connection.send(result_of(entry, *settings))


@final
class _Worker:
    """A process, and what it is at; nothing yet while it imports."""

    def __init__(self, modules: Sequence[str], settings: tuple[int, int, str], limit: float) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        self.process = WorkerProcess(target=_serve, args=(theirs, modules, settings, limit), daemon=True)
        self.limit = limit
        self.process.start()
        theirs.close()
        self.entry: Entry | None = None
        self.since = time.monotonic()

    def give(self, entry: Entry) -> None:
        """Start on an entry; the clock runs from now on."""
        self.entry, self.since = entry, time.monotonic()
        self.connection.send(entry)

    def result(self, ready: bool) -> tuple[dict[str, Any] | None, bool]:
        """What it has found, None while it is at it; and whether it goes on."""
        late = {"reason": f"its audit took longer than {self.limit:g} seconds"}
        if ready:
            try:
                return self.connection.recv(), True
            except (EOFError, OSError):
                self.process.join()
                status = self.process.exitcode
                return late if status == LATE else {"reason": f"its process ended with status {status}"}, False
        if self.entry is not None and time.monotonic() - self.since > PATIENCE * self.limit:
            return late, False
        return None, True

    def end(self) -> None:
        """Stop at once."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def audited_in_processes(
    entries: Sequence[Entry],
    *,
    jobs: int,
    limit: float,
    modules: Sequence[str],
    settings: tuple[int, int, str],
    finished: Callable[[Entry, dict[str, Any]], None],
) -> None:
    """Audit every entry, and hand over each result as it comes in.

    Parameters
    ----------
    jobs : processes
    limit : seconds of processor time for one entry; a worker that takes longer, or `PATIENCE` times as long by the
        clock, is ended, and another one started
    modules : imported by every worker before its first entry
    settings : steps, seed and device, as for `audit`
    finished : called with the entry and its result
    """
    left = list(entries)[::-1]
    workers: list[_Worker] = []
    idle_deaths = 0
    try:
        while left or any(worker.entry for worker in workers):
            while left and len(workers) < min(jobs, len(entries)):
                workers.append(_Worker(modules, settings, limit))
            ready = wait([worker.connection for worker in workers], timeout=0.2)
            for worker in list(workers):
                result, alive = worker.result(worker.connection in ready)
                if result is None:
                    continue
                if worker.entry is not None:
                    finished(worker.entry, result)
                    worker.entry = None
                elif not alive:
                    idle_deaths += 1
                    if idle_deaths > jobs:
                        raise UnauditableError(f"processes for audits cannot be started: {result['reason']}.")
                if alive and left:
                    worker.give(left.pop())
                elif not alive:
                    worker.end()
                    workers.remove(worker)
    finally:
        for worker in workers:
            worker.end()
