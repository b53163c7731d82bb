"""Worker processes as an executor: what they return and raise, and what becomes of the work when one dies."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import suppress

import pytest

from geomkfac.errors import ShapeError
from geomkfac.networks.running.processes import Processes

UNPICKLED = (pickle.PicklingError, AttributeError, TypeError)
"""What Python's versions say of a function without a name."""


@pytest.fixture(scope="module")
def pool() -> Iterator[Processes]:
    with Processes(2) as executor:
        yield executor


def test_results_and_exceptions_come_back_and_the_workers_go_on(pool: Processes) -> None:
    assert list(pool.map(pow, range(20), [2] * 20)) == [n**2 for n in range(20)]
    for code, kind in {"1 / 0": ZeroDivisionError, "next(iter(()))": StopIteration, "exit(3)": SystemExit}.items():
        with pytest.raises(kind) as caught:
            pool.submit(eval, code, {"exit": sys.exit}).result()
        assert "In a worker process" in caught.value.__notes__[0]
    # It is not the end of the pipe.
    with pytest.raises(EOFError, match="of the work"):
        pool.submit(exec, "raise EOFError('of the work')", {}).result()
    with pytest.raises(UNPICKLED, match="pickle"):
        pool.submit(eval, "lambda: 0", {}).result()
    with pytest.raises(RuntimeError, match="Odd: 3"):
        pool.submit(exec, "class Odd(Exception): pass\nraise Odd(3)", {}).result()
    with pytest.raises(UNPICKLED, match="pickle"):
        pool.submit(lambda: 0).result()
    with pytest.raises(ShapeError, match="own"):
        pool.submit(exec, "from geomkfac.errors import ShapeError\nraise ShapeError('our own')", {}).result()
    assert pool.submit(pow, 2, 3).result() == 8
    assert len({pool.submit(os.getpid).result() for _ in range(8)} - {os.getpid()}) <= 2


def test_they_have_one_thread_for_arithmetic_and_are_deaf_to_control_c_from_birth(pool: Processes) -> None:
    assert pool.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
    blocked = pool.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ()).result()
    assert signal.SIGINT in blocked
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize("busy", [True, False], ids=["at work", "idle"])
def test_where_one_dies_everything_that_is_not_finished_tells_so(busy: bool) -> None:
    pool = Processes(2)
    victim = pool.submit(os.getpid).result()
    if busy:
        waiting = [pool.submit(time.sleep, 1000) for _ in range(5)]
        os.kill(victim, signal.SIGKILL)
    else:
        os.kill(victim, signal.SIGKILL)
        waiting = []
        # Until it is noticed work is taken, and then refused.
        with suppress(BrokenExecutor):
            waiting.extend(pool.submit(time.sleep, 1000) for _ in range(5))
        assert waiting
    for future in waiting:
        with pytest.raises(BrokenExecutor, match="ended"):
            future.result()
    with pytest.raises(BrokenExecutor):
        pool.submit(pow, 2, 3)
    pool.shutdown()


def test_they_can_be_ended_at_once_and_so_they_are_where_the_block_is_left_by_an_exception() -> None:
    before = {*multiprocessing.active_children()}
    pool = Processes(2)
    waiting = [pool.submit(time.sleep, 1000) for _ in range(5)]
    pool.kill_workers()
    assert all(isinstance(future.exception(), BrokenExecutor) for future in waiting)
    with pytest.raises(KeyboardInterrupt), Processes(2) as pool:
        waiting = [pool.submit(time.sleep, 1000) for _ in range(5)]
        raise KeyboardInterrupt
    assert all(isinstance(future.exception(), BrokenExecutor) for future in waiting)
    assert {*multiprocessing.active_children()} <= before


def test_a_shut_down_one_finishes_what_it_has_and_takes_no_more() -> None:
    before = {*multiprocessing.active_children()}
    pool = Processes(1)
    waiting = [pool.submit(pow, n, 2) for n in range(5)]
    pool.shutdown()
    assert [future.result() for future in waiting] == [0, 1, 4, 9, 16]
    with pytest.raises(RuntimeError, match="shutdown"):
        pool.submit(pow, 2, 3)
    assert {*multiprocessing.active_children()} <= before


def test_they_outlive_the_thread_that_has_started_them() -> None:
    made: list[Processes] = []
    thread = threading.Thread(target=lambda: made.append(Processes(1)))
    thread.start()
    thread.join()
    with made[0] as pool:
        assert pool.submit(pow, 2, 3).result() == 8


def test_they_end_where_nobody_has_work_for_them_any_more() -> None:
    pool = Processes(1)
    (process,) = (worker.process for worker in pool._workers)
    assert pool.submit(pow, 2, 3).result() == 8
    del pool
    process.join()
    assert process.exitcode == 0
