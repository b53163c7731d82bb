"""Processes of this machine that work for this one, end with it, and leave an interruption to it."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue
from typing import Any, TypeVar, final

from geomkfac.arrays.floats.threads import one_thread_each
from geomkfac.lifeline import end_with

T = TypeVar("T")


class WorkerProcess(SpawnProcess):
    """A process with one thread for its arithmetic, which ends with this process and is deaf to Ctrl-C.

    It is started afresh, and not forked: a copy of a process whose arithmetic has threads may wait for them for ever.
    """

    def start(self) -> None:
        with one_thread_each(), _born_deaf():
            super().start()

    def run(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # for systems that cannot block it
        parent = multiprocessing.parent_process()
        if parent is not None:
            end_with(parent.sentinel)  # a descriptor; on Windows a handle
        super().run()


@contextmanager
def _born_deaf() -> Iterator[None]:
    """Processes that are started meanwhile never see a Ctrl-C, not even while they import."""
    if sys.platform == "win32":
        yield
        return
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()  # Where it starts the tracker it unblocks the signal.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@final
class Processes(Executor):
    """An executor of worker processes; where one dies all are ended, and what was not finished is lost.

    Unlike those of ``concurrent.futures.ProcessPoolExecutor`` they end with this process, are deaf to Ctrl-C, and can
    be ended at once.

    Parameters
    ----------
    count : of processes
    """

    def __init__(self, count: int) -> None:
        self._max_workers = count
        self._broken = False
        self._workers: list[_Worker] = []
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for _ in range(count):
            try:
                self._workers.append(_Worker())
            except BrokenPipeError as error:
                self._kill()
                raise BrokenProcessPool("a process has ended while it was being started.") from error
            self._idle.put(self._workers[-1])
        # A thread for each: it hands over a call, and waits for the result.
        self._threads = ThreadPoolExecutor(count)

    def submit(self, function: Callable[..., T], /, *arguments: Any, **keywords: Any) -> Future[T]:
        if self._broken:
            raise BrokenProcessPool("its processes have ended.")
        return self._threads.submit(self._call, function, arguments, keywords)

    def _call(self, function: Callable[..., T], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> T:
        worker = self._idle.get()
        try:
            if self._broken:
                raise BrokenProcessPool("its processes have ended.")
            succeeded, result = worker.call(function, arguments, keywords)
        except (EOFError, OSError) as error:
            self._kill()
            raise BrokenProcessPool("a process has ended while there was work for it.") from error
        finally:
            self._idle.put(worker)
        if not succeeded:
            raise result
        value: T = result
        return value

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            for worker in self._workers:
                worker.connection.close()
                worker.process.join()

    def kill_workers(self) -> None:
        """End the processes at once; what they have not finished ends in a ``BrokenExecutor``."""
        self._kill()
        self.shutdown()

    def _kill(self) -> None:
        self._broken = True
        for worker in self._workers:
            worker.process.kill()

    def __exit__(self, error: object, *_: object) -> None:
        if error is None:
            self.shutdown()
        else:
            self.kill_workers()


class _Worker:
    """A process, and the way to it."""

    def __init__(self) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        self.process = WorkerProcess(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def call(self, function: Callable[..., Any], *given: Any) -> tuple[bool, Any]:
        """Whether a call has succeeded, and its result or exception."""
        self.connection.send((function, *given))
        answer: tuple[bool, Any] = self.connection.recv()
        return answer


def _serve(connection: Connection) -> None:
    """What a worker does, until nobody has work for it."""
    with suppress(EOFError):
        while True:
            content = connection.recv_bytes()
            try:
                function, arguments, keywords = pickle.loads(content)
                answer = pickle.dumps((True, function(*arguments, **keywords)))
            except BaseException as error:
                answer = _as_failure(error)
            connection.send_bytes(answer)


def _as_failure(error: BaseException) -> bytes:
    """What is sent in the place of a result: the exception, with the place where it was raised as a note."""
    error.add_note("In a worker process:\n" + "".join(traceback.format_exception(error)))
    try:
        return pickle.dumps((False, error))
    except Exception:  # Some exceptions cannot be pickled.
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
