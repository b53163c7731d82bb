"""Executors: what workers sum is what one process sums, whoever they are, however many, and whoever dies."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac.arrays import GF, rational
from geomkfac.errors import KindError, ValuesError, WorkerError, WorkerLostWarning
from geomkfac.maps import polynomial
from geomkfac.networks import worker_processes
from geomkfac.testing import integer_array

SPAWN = multiprocessing.get_context("spawn")
CHUNK = 7


def problem(kind: Any = gk.floating, count: int = 40, activation: Any = None) -> tuple[Any, ...]:
    """A 3-4-2 network, its weights, data, a loss, and the frames."""
    ns, rng = kind.default_namespace, np.random.default_rng(5)

    def drawn(*shape: int) -> Any:
        return integer_array(ns, rng.integers(-3, 4, shape)) * (1 if kind.is_exact else 0.3)

    net, weights, iota = gk.MLP.from_arrays(
        [drawn(4, 3), drawn(2, 4)], [drawn(4), drawn(2)], activation or polynomial(0, 1, 1), kind=kind
    )
    return net, weights, iota.sample(drawn(count, 3), drawn(count, 2)), gk.Gaussian().on(iota), iota


def arrays_of(moments: Any, iota: Any) -> list[Any]:
    return [factor for block in moments.metric().coordinates(iota).blocks for factor in block.factors]


class Backwards(Executor):
    """Runs nothing until it must, and then the last first: results come in the wrong order."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Any, Any]] = []
        self._max_workers = 3

    def submit(self, function: Any, /, *arguments: Any, **keywords: Any) -> Future[Any]:
        executor = self

        class Lazy(Future[Any]):
            def result(self, timeout: float | None = None) -> Any:
                while executor.waiting and not self.done():
                    future, call, given = executor.waiting.pop()
                    future.set_result(call(*given))
                return super().result(timeout)

        future = Lazy()
        # As it would reach another process.
        self.waiting.append((future, *pickle.loads(pickle.dumps((function, arguments)))))
        return future


@pytest.mark.parametrize("kind", [GF(2**31 - 1), rational, gk.floating], ids=["GF(p)", "Q", "floating"])
@pytest.mark.parametrize("make", [lambda: ThreadPoolExecutor(1), lambda: ThreadPoolExecutor(4), Backwards])
def test_the_result_does_not_depend_on_the_workers(kind: Any, make: Callable[[], Executor]) -> None:
    net, weights, data, loss, iota = problem(kind)
    alone = net.moments(weights, data, loss, chunk_size=CHUNK)
    with make() as executor:
        shared = net.moments(weights, data, loss, chunk_size=CHUNK, executor=executor)
    for found, expected in zip(arrays_of(shared, iota), arrays_of(alone, iota), strict=True):
        if kind.is_exact:
            assert kind.default_namespace.equal(found, expected)
        else:
            # Sums of 40 data in another order: 40 roundings.
            assert np.abs(found - expected).max() <= 40 * 2.0**-52 * np.abs(expected).max()


@given(st.integers(1, 5), st.integers(1, 12), st.sampled_from(["exact", "sampled", "empirical"]), st.booleans())
def test_any_number_of_threads_gives_the_same_bits(workers: int, chunk: int, fisher: Any, weighted: bool) -> None:
    net, weights, data, loss, iota = problem(count=12, activation="tanh")
    if weighted:
        (whole,) = data.chunks()
        X = whole.points.coordinates(iota)
        data = iota.sample(X, whole.targets, weights=np.arange(1.0, 13.0))
    runs = []
    for count in (1, workers):
        with ThreadPoolExecutor(count) as executor:
            g = net.moments(weights, data, loss, fisher=fisher, chunk_size=chunk, executor=executor)
        runs.append(arrays_of(g, iota))
    assert all((left == right).all() for left, right in zip(*runs, strict=True))


def test_losses_and_differentials_are_shared_as_well() -> None:
    net, weights, data, loss, _ = problem(GF(2**31 - 1))
    dh = net.differential(weights, data, loss)
    with ThreadPoolExecutor(3) as executor:
        assert net.differential(weights, data, loss, chunk_size=CHUNK, executor=executor) == dh
    net, weights, data, loss, _iota = problem(activation="tanh")
    with ThreadPoolExecutor(3) as executor:
        value, _ = net.loss_and_differential(weights, data, loss, chunk_size=CHUNK, executor=executor)
        assert net.loss(weights, data, loss, chunk_size=CHUNK, executor=executor) == value
        moments = net.moments(weights, data, loss, chunk_size=CHUNK, executor=executor, with_loss=True)
    assert abs(moments.mean_loss() - value) <= 40 * 2.0**-52 * abs(value)


def test_processes_share_the_work_and_mapped_files_are_read_by_them(tmp_path: Path) -> None:
    net, weights, data, loss, iota = problem(activation="tanh")
    (whole,) = data.chunks()
    np.save(tmp_path / "X.npy", whole.points.coordinates(iota))
    mapped = iota.sample(np.load(tmp_path / "X.npy", mmap_mode="r"), whole.targets)
    expected = arrays_of(net.moments(weights, data, loss, chunk_size=CHUNK), iota)
    with ProcessPoolExecutor(2, mp_context=SPAWN) as executor:
        for sample in (data, mapped, mapped.expressed_in(iota)):
            g = net.moments(weights, sample, loss, chunk_size=CHUNK, executor=executor)
            for found, right in zip(arrays_of(g, iota), expected, strict=True):
                assert np.abs(found - right).max() <= 40 * 2.0**-52 * np.abs(right).max()
    piece = next(mapped.pieces(CHUNK))
    # A place in a file, not numbers.
    assert str(tmp_path / "X.npy").encode() in pickle.dumps(piece)


@pytest.fixture
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Any]]:
    """A problem whose network kills so many of the processes that run it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    planted = importlib.import_module("planted_workers")

    def make(deaths: int) -> Any:
        for index in range(deaths):
            (tmp_path / str(index)).touch()
        return problem(activation=planted.Deadly(os.getpid(), str(tmp_path)))

    yield make


def test_a_worker_that_dies_costs_only_what_it_had_in_hand(deadly: Any, tmp_path: Path) -> None:
    net, weights, data, loss, iota = deadly(1)
    done: list[int] = []
    g = net.moments(
        weights, data, loss, chunk_size=CHUNK, executor=lambda: ProcessPoolExecutor(2, mp_context=SPAWN),
        progress=lambda progress: done.append(progress.done),
    )  # fmt: skip
    assert not list(tmp_path.iterdir())  # it did die
    assert done == [7, 14, 21, 28, 35, 40]
    expected = arrays_of(net.moments(weights, data, loss, chunk_size=CHUNK), iota)
    assert all(np.allclose(a, b, rtol=40 * 2.0**-52) for a, b in zip(arrays_of(g, iota), expected, strict=True))


def test_a_pool_that_broke_for_good_is_replaced_by_this_process_which_says_so(deadly: Any) -> None:
    net, weights, data, loss, iota = deadly(1)
    with ProcessPoolExecutor(1, mp_context=SPAWN) as executor, pytest.warns(WorkerLostWarning, match="this process"):
        g = net.moments(weights, data, loss, chunk_size=CHUNK, executor=executor)
    expected = arrays_of(net.moments(weights, data, loss, chunk_size=CHUNK), iota)
    assert all(np.allclose(a, b, rtol=40 * 2.0**-52) for a, b in zip(arrays_of(g, iota), expected, strict=True))


@pytest.mark.parametrize("processes", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_data_that_kill_every_worker_are_named(deadly: Any, processes: int) -> None:
    net, weights, data, loss, iota = deadly(0)
    (whole,) = data.chunks()
    X = whole.points.coordinates(iota).copy()
    # The activation dies of what only these data make of it.
    X[23] = 1e6
    data = iota.sample(X, whole.targets)
    with pytest.raises(WorkerError, match=r"data 21 to 27 cannot be summed: .* died 5 times"):
        net.moments(weights, data, loss, chunk_size=CHUNK, executor=worker_processes(processes))


def test_an_executor_that_was_shut_down_says_what_to_do() -> None:
    net, weights, data, loss, _ = problem()
    with ThreadPoolExecutor(1) as executor:
        pass
    with pytest.raises(WorkerError, match="within its `with` block"):
        net.moments(weights, data, loss, executor=executor)


@pytest.mark.parametrize("count", [0, True, 2.0])
def test_a_number_of_processes_that_makes_no_sense_is_refused(count: Any) -> None:
    with pytest.raises(ValuesError, match="positive int"):
        worker_processes(count)


def test_a_stream_is_closed_where_a_worker_finds_fault() -> None:
    net, weights, _, loss, iota = problem(activation="tanh")
    closed = []

    def batches() -> Iterator[Any]:
        try:
            while True:
                yield np.ones((2, 3)), np.full((2, 2), np.inf)
        finally:
            closed.append(True)

    with ThreadPoolExecutor(2) as executor, pytest.raises(ValuesError):
        net.loss(weights, iota.sample(batches), loss, executor=executor)
    assert closed == [True]


def test_what_is_wrong_with_the_data_is_said_as_without_workers(tmp_path: Path) -> None:
    net, weights, _, loss, iota = problem(activation="tanh")
    X = np.ones((20, 3))
    X[13, 1] = np.nan
    np.save(tmp_path / "X.npy", X)
    data = iota.sample(np.load(tmp_path / "X.npy", mmap_mode="r"), np.ones((20, 2)))
    with ThreadPoolExecutor(2) as executor, pytest.raises(ValuesError, match="finite"):
        net.moments(weights, data, loss, chunk_size=5, executor=executor)


@pytest.mark.parametrize("wrong", [3, lambda: 3])
def test_what_is_no_executor_is_refused(wrong: Any) -> None:
    net, weights, data, loss, _ = problem()
    with pytest.raises(KindError, match="Executor"):
        net.moments(weights, data, loss, executor=wrong)


def test_streamed_batches_are_read_only_as_workers_become_free() -> None:
    net, weights, data, loss, iota = problem(count=40)
    (whole,) = data.chunks()
    X, walks, read, most, absorbed = whole.points.coordinates(iota), 0, 0, 0, 0

    def batches() -> Iterator[Any]:
        nonlocal walks, read, most
        # The first walk chooses where the sums are taken, and holds one batch at a time.
        walks, read, most = walks + 1, 0, 0
        for start in range(0, 40, 2):
            read += 1
            most = max(most, read - absorbed)
            yield X[start : start + 2], whole.targets[start : start + 2]

    def told(_: Any) -> None:
        nonlocal absorbed
        absorbed += 1

    with ThreadPoolExecutor(2) as executor:
        net.moments(weights, iota.sample(batches), loss, executor=executor, progress=told)
    assert (walks, read) == (2, 20)
    assert most <= 2 * 2 + 1


def test_threads_that_ask_at_once_get_one_and_the_same_space_and_frame(request: pytest.FixtureRequest) -> None:
    """A hundred times, with threads that take turns often, as a race is not lost every time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    request.addfinalizer(lambda: sys.setswitchinterval(before))
    for _ in range(100):
        A, Z = gk.AffineSpace("A", 2), gk.AffineSpace("Z", 1)
        iota, zeta = A.frame("iota"), Z.frame("zeta")
        barrier, found = threading.Barrier(4), []

        def ask(A: Any, Z: Any, iota: Any, zeta: Any, barrier: threading.Barrier, found: list[Any]) -> None:
            barrier.wait()
            space = gk.AffineMaps(A, Z)
            found.append((space, space.frame(iota, zeta), space.direction.dual, gk.Hull(A).dual, iota.hull.dual))

        threads = [threading.Thread(target=ask, args=(A, Z, iota, zeta, barrier, found)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4
        assert all(one is other for answer in found for one, other in zip(answer, found[0], strict=True))


def test_workers_that_die_while_they_are_started_are_told_of() -> None:
    def broken() -> Any:
        raise BrokenExecutor("a process has ended while it was being started.")

    net, weights, data, loss, _ = problem()
    with pytest.raises(WorkerError, match="do not start"):
        net.moments(weights, data, loss, executor=broken)
