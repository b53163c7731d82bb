"""Processes of one thread each, as the workers of an executor."""

from __future__ import annotations

from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing.context import SpawnContext, SpawnProcess

from geomkfac.arrays.floats.threads import one_thread_each


def pool(count: int) -> Executor:
    """An executor of `count` processes, started afresh."""
    # Not forked: a copy of a process whose arithmetic has threads may wait for them for ever.
    return ProcessPoolExecutor(count, mp_context=_SingleThreaded())


class _OneThread(SpawnProcess):
    """A process that is started with one thread for its arithmetic."""

    def start(self) -> None:
        with one_thread_each():
            super().start()


class _SingleThreaded(SpawnContext):
    Process = _OneThread
