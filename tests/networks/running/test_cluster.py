"""A local Dask cluster as the workers: the same sums, whoever dies."""

from __future__ import annotations

import concurrent.futures
import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.arrays import GF
from geomkfac.errors import ValuesError, WorkerError, WorkerLostWarning
from geomkfac.maps import polynomial
from geomkfac.networks.running import cluster as at_cluster
from geomkfac.testing import integer_array

dask = pytest.importorskip("dask", reason="Dask is an extra: pip install 'geomkfac[distributed]'")
distributed = pytest.importorskip("distributed", reason="Dask is an extra: pip install 'geomkfac[distributed]'")

# Its own, at import and at the end of a cluster; none of what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

CHUNK = 7


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two processes of one thread, which find the planted activation as this process does."""
    planted = str(Path(__file__).parent)
    sys.path.insert(0, planted)
    # A worker whose successor is being started when this time ends is closed for good: minutes on a busy machine.
    # Nor does one fail that takes long to be reached.
    timeouts = ("distributed.deploy.lost-worker-timeout", "distributed.comm.timeouts.connect")
    patience = dict.fromkeys(timeouts, "10 minutes")
    with warnings.catch_warnings(), dask.config.set(patience):
        warnings.simplefilter("ignore")
        # Any free port, as another may hold the usual one.
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster:
            yield cluster
    sys.path.remove(planted)


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    with distributed.Client(cluster) as client:
        yield client


def problem(kind: Any = gk.floating, activation: Any = None) -> tuple[Any, ...]:
    ns, rng = kind.default_namespace, np.random.default_rng(5)

    def drawn(*shape: int) -> Any:
        return integer_array(ns, rng.integers(-3, 4, shape)) * (1 if kind.is_exact else 0.3)

    net, weights, iota = gk.MLP.from_arrays(
        [drawn(4, 3), drawn(2, 4)], [drawn(4), drawn(2)], activation or polynomial(0, 1, 1), kind=kind
    )
    return net, weights, iota.sample(drawn(40, 3), drawn(40, 2)), gk.Gaussian().on(iota), iota


def arrays_of(moments: Any, iota: Any) -> list[Any]:
    return [factor for block in moments.metric().coordinates(iota).blocks for factor in block.factors]


def test_exact_sums_are_the_same_number_for_number(client: Any) -> None:
    kind = GF(2**31 - 1)
    net, weights, data, loss, iota = problem(kind)
    shared = net.moments(weights, data, loss, chunk_size=CHUNK, executor=client.get_executor())
    alone = net.moments(weights, data, loss)
    equal = kind.default_namespace.equal
    assert all(equal(x, y) for x, y in zip(arrays_of(shared, iota), arrays_of(alone, iota), strict=True))


def test_what_makes_the_executor_of_a_cluster_serves_as_well(client: Any) -> None:
    kind = GF(2**31 - 1)
    net, weights, data, loss, iota = problem(kind)
    shared = net.moments(weights, data, loss, chunk_size=CHUNK, executor=client.get_executor)
    equal = kind.default_namespace.equal
    pairs = zip(arrays_of(shared, iota), arrays_of(net.moments(weights, data, loss), iota), strict=True)
    assert all(equal(x, y) for x, y in pairs)


def test_sums_of_mapped_files_are_the_same_to_rounding(client: Any, tmp_path: Path) -> None:
    net, weights, data, loss, iota = problem(activation="tanh")
    (whole,) = data.chunks()
    np.save(tmp_path / "X.npy", whole.points.coordinates(iota))
    mapped = iota.sample(np.load(tmp_path / "X.npy", mmap_mode="r"), whole.targets)
    shared = net.moments(weights, mapped, loss, chunk_size=CHUNK, executor=client.get_executor())
    alone = net.moments(weights, data, loss)
    for x, y in zip(arrays_of(shared, iota), arrays_of(alone, iota), strict=True):
        # Sums of 40 data in another order.
        assert np.abs(x - y).max() <= 40 * 2.0**-52 * np.abs(y).max()


def test_what_is_wrong_with_the_data_is_said_as_without_workers(client: Any, tmp_path: Path) -> None:
    net, weights, _, loss, iota = problem(activation="tanh")
    np.save(tmp_path / "X.npy", np.full((20, 3), np.nan))
    np.save(tmp_path / "first.npy", np.ones((20, 3)))
    data = iota.sample(np.load(tmp_path / "first.npy", mmap_mode="r"), np.ones((20, 2)))
    os.replace(tmp_path / "X.npy", tmp_path / "first.npy")
    with pytest.raises(ValuesError, match="finite"):
        net.moments(weights, data, loss, chunk_size=5, executor=client.get_executor())


def planted(tmp_path: Path, deaths: int) -> tuple[Any, ...]:
    module = importlib.import_module("planted_workers")
    for index in range(deaths):
        (tmp_path / str(index)).touch()
    return problem(activation=module.Deadly(os.getpid(), str(tmp_path)))


@pytest.mark.parametrize("deaths", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_workers_that_die_cost_only_what_they_had_in_hand(
    client: Any, tmp_path: Path, deaths: int
) -> None:
    """Five deaths are more than Dask itself bears with one task (it gives up after three)."""
    net, weights, data, loss, iota = planted(tmp_path, deaths)
    shared = net.moments(weights, data, loss, chunk_size=CHUNK, executor=client.get_executor())
    assert not list(tmp_path.iterdir())
    alone = net.moments(weights, data, loss)
    for x, y in zip(arrays_of(shared, iota), arrays_of(alone, iota), strict=True):
        assert np.abs(x - y).max() <= 40 * 2.0**-52 * np.abs(y).max()


def test_a_result_that_is_lost_on_its_way_is_made_again(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The future of Dask's executor would never be completed."""
    kind = GF(2**31 - 1)
    net, weights, data, loss, iota = problem(kind)
    gather, lost = distributed.Client._gather, iter([True, False, True])

    async def unreliable(self: Any, futures: Any, *arguments: Any, **named: Any) -> Any:
        if next(lost, False):
            raise concurrent.futures.CancelledError("lost with its worker")
        return await gather(self, futures, *arguments, **named)

    monkeypatch.setattr(distributed.Client, "_gather", unreliable)
    shared = net.moments(weights, data, loss, chunk_size=CHUNK, executor=client.get_executor())
    assert next(lost, None) is None
    equal = kind.default_namespace.equal
    pairs = zip(arrays_of(shared, iota), arrays_of(net.moments(weights, data, loss), iota), strict=True)
    assert all(equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("what", ["executor", "client"])
def test_a_cluster_that_was_left_takes_no_work(cluster: Any, what: str) -> None:
    net, weights, data, loss, _ = problem()
    with distributed.Client(cluster) as client:
        executor = client.get_executor()
        if what == "executor":
            executor.shutdown()
            with pytest.raises(WorkerError, match="takes no work"):
                net.moments(weights, data, loss, chunk_size=CHUNK, executor=executor)
    with pytest.raises(WorkerError, match="takes no work"):
        net.moments(weights, data, loss, chunk_size=CHUNK, executor=executor)


def test_work_goes_where_the_executor_sends_it(client: Any, tmp_path: Path) -> None:
    """What an executor was made with, such as the workers that may be used, holds for its calls."""
    chosen = sorted(client.scheduler_info()["workers"])[0]
    net, weights, data, loss, _ = problem(activation=importlib.import_module("planted_workers").Tattling(str(tmp_path)))
    net.moments(weights, data, loss, chunk_size=CHUNK, executor=client.get_executor(workers=[chosen]))
    # This process itself looks at the first data, to choose where sums are taken.
    there = {path.name for path in tmp_path.iterdir()} - {str(os.getpid())}
    assert there == {str(client.run(os.getpid)[chosen])}


def test_a_cluster_without_workers_is_waited_for_and_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker comes when it was warned that there is none: without the warning, this would wait for ever."""
    monkeypatch.setattr(at_cluster, "PATIENCE", 0.1)
    net, weights, data, loss, iota = problem(GF(2**31 - 1))
    threads = {"threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    warn, said = warnings.warn, []
    with distributed.LocalCluster(n_workers=0, **threads) as cluster, distributed.Client(cluster) as client:

        def heard(message: Any, category: Any = None, *more: Any, **named: Any) -> None:
            if category is not WorkerLostWarning:
                return warn(message, category, *more, **named)
            said.append(message)
            cluster.scale(1)

        monkeypatch.setattr(warnings, "warn", heard)
        shared = net.moments(weights, data, loss, chunk_size=CHUNK, executor=client.get_executor())
    assert len(said) == 1
    assert "no workers" in said[0]
    equal = GF(2**31 - 1).default_namespace.equal
    pairs = zip(arrays_of(shared, iota), arrays_of(net.moments(weights, data, loss), iota), strict=True)
    assert all(equal(x, y) for x, y in pairs)


@pytest.mark.slow
def test_data_that_kill_every_worker_are_named(client: Any, tmp_path: Path) -> None:
    # Dask's own patience, with three deaths for every attempt, has been seen above.
    client.run_on_scheduler(_without_patience)
    net, weights, data, loss, iota = planted(tmp_path, 0)
    (whole,) = data.chunks()
    X = whole.points.coordinates(iota).copy()
    X[23] = 1e6
    with pytest.raises(WorkerError, match=r"data 21 to 27 cannot be summed"):
        net.moments(weights, iota.sample(X, whole.targets), loss, chunk_size=CHUNK, executor=client.get_executor())


def _without_patience(dask_scheduler: Any) -> None:
    dask_scheduler.allowed_failures = 0
