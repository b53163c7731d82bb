"""The sums of `kfac_of_module` run as those of a network: in chunks, within a limit, by workers, told of, and saved."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac.errors import KindError, MemoryLimitError, ValuesError, WorkerError
from geomkfac.interop import Checkpoint, kfac_of_module
from geomkfac.metrics.families.output_family import Fisher
from geomkfac.networks import Progress, worker_processes
from geomkfac.networks.moments.second_moments import Sharing

from .drawn import Attention, Residual, filled, inputs, nn, roundings, same, torch
from .refused import Own

MB = 10**6
COUNT = 20
CHUNK = 6


class Stopped(Exception):
    """A run that is interrupted."""


def stop_after(count: int) -> Any:
    def told(progress: Progress) -> None:
        if progress.done >= count:
            raise Stopped

    return told


def perceptron() -> Any:
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 4, bias=False), nn.GELU(), nn.Linear(4, 3))


def tokens() -> Any:
    """Its data are integers."""
    return nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, 3))


MODULES: dict[str, tuple[Any, tuple[int, ...], int]] = {
    "perceptron": (perceptron, (5,), 1),
    "residual": (Residual, (2, 4, 3), 1),
    "outputs at every step": (lambda: Attention(False), (4, 3), 2),
    "tokens": (tokens, (3,), 1),
}


def problem(name: str, dtype: Any = None) -> tuple[Any, Any, dict[str, Any]]:
    make, shape, axis = MODULES[name]
    module, X = filled(make(), 3, dtype or torch.float64), inputs((COUNT, *shape), 4, dtype or torch.float64)
    if name == "tokens":
        X = (X.abs() * 3).long().clamp(max=6)
    return module, X, {"class_axis": axis, "fisher": "sampled", "samples": 2}


def metric_of(problem: tuple[Any, Any, dict[str, Any]], y: Any = None, **running: Any) -> dict[str, tuple[Any, Any]]:
    module, X, how = problem
    return kfac_of_module(module, X, y, gk.Categorical(), **(how | running)).factors()


def alike(left: dict[str, tuple[Any, Any]], right: dict[str, tuple[Any, Any]]) -> bool:
    """To the last bit."""
    return same(left, right, 0.0)


# -- chunks and progress -----------------------------------------------------------------------------------
@pytest.mark.parametrize("name", MODULES)
def test_every_chunk_size_gives_the_same_factors(name: str) -> None:
    given = problem(name)
    with torch.no_grad():
        z = given[0](given[1])
    y = torch.tensor(np.random.default_rng(5).integers(0, 2, z.select(given[2]["class_axis"], 0).shape))
    # What `kfac_of_module` shares with networks meets all pairs in tests/networks/test_theme_law_of_sums.py.
    for fisher, sharing in zip(get_args(Fisher), get_args(Sharing), strict=True):
        how: dict[str, Any] = {"y": y, "fisher": fisher, "sharing": sharing}
        whole = metric_of(given, **how)
        bound = roundings(given[0], given[1].double(), whole)
        for size in (1, CHUNK, 19, 100):
            assert same(metric_of(given, chunk_size=size, **how), whole, bound), (fisher, sharing, size)


def test_progress_is_told_after_every_chunk() -> None:
    told: list[Progress] = []
    metric_of(problem("perceptron"), chunk_size=CHUNK, progress=told.append)
    assert [(progress.done, progress.total, progress.resumed) for progress in told] == [
        (6, COUNT, 0), (12, COUNT, 0), (18, COUNT, 0), (20, COUNT, 0),
    ]  # fmt: skip


def test_words_that_no_pass_knows_are_refused() -> None:
    with pytest.raises(TypeError, match=r"'chunks' is no keyword here.*chunk_size, memory_limit"):
        metric_of(problem("perceptron"), chunks=3)
    with pytest.raises(ValuesError, match="Leave one of them out"):
        metric_of(problem("perceptron"), chunk_size=3, memory_limit="1 GB")


def test_where_autograd_is_switched_off_the_metric_is_the_same() -> None:
    for name in MODULES:
        given = problem(name)
        expected = metric_of(given)
        with torch.no_grad():
            assert alike(metric_of(given), expected)


# -- memory --------------------------------------------------------------------------------------------------
def peak(module: Any, X: Any, fisher: Any, **running: Any) -> int:
    """The most bytes that are allocated at one time, beyond what was there before: PyTorch's own record of them."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        # Bound, so that the sums are alive when the last record is made.
        metric = kfac_of_module(module, X, None, gk.Categorical(), fisher=fisher, **running)
    events = (event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]")
    del metric
    return int(np.cumsum([event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]).max())


class Steps(nn.Module):  # type: ignore[misc]
    """Linear layers at every step of a sequence, and much beside them that no hook on them sees."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(40, 64), nn.Linear(64, 64, bias=False), nn.Linear(64, 10)
        self.norm = nn.LayerNorm(64)

    def forward(self, x: Any) -> Any:
        h = torch.tanh(self.first(x))
        return self.last(self.norm(h + nn.functional.gelu(self.second(h)))).mean(dim=1)


LARGE: dict[str, tuple[Any, tuple[int, ...]]] = {
    "perceptron": (
        lambda: nn.Sequential(nn.Linear(120, 90), nn.Softplus(), nn.Linear(90, 40), nn.Tanh(), nn.Linear(40, 10)),
        (3000, 120),
    ),
    "maps": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 6, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 5), nn.ReLU(inplace=True),
            nn.Flatten(), nn.Linear(128, 4),
        ),
        (400, 2, 16, 16),
    ),
    "maps as outputs": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Softsign(), nn.Conv2d(4, 3, 1)), (300, 1, 6, 6)
    ),
    "steps": (Steps, (400, 12, 40)),
}  # fmt: skip


@pytest.mark.parametrize("fisher", ["exact", "sampled"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", LARGE)
def test_what_is_allocated_stays_within_the_limit(name: str, dtype: Any, fisher: Any) -> None:
    make, shape = LARGE[name]
    module, X = filled(make(), 1, dtype), inputs(shape, 1, dtype)
    for limit in (12 * MB, 25 * MB):
        assert peak(module, X, fisher, memory_limit=limit) <= limit
    if fisher == "exact":
        # So that this could fail.
        assert peak(module, X, fisher) > 12 * MB


def test_a_limit_below_one_datum_is_refused() -> None:
    module, X, how = problem("perceptron")
    with pytest.raises(MemoryLimitError, match="too small for the factors"):
        kfac_of_module(module, X, None, gk.Categorical(), memory_limit=100, **how)
    # A, G and the largest once more: sides 6, 6, 7, 4, 5, 3.
    least = 8 * (36 + 36 + 49 + 16 + 25 + 9 + 49)
    with pytest.raises(MemoryLimitError, match="no room for a single datum"):
        kfac_of_module(module, X, None, gk.Categorical(), memory_limit=least + 8, **how)


# -- workers -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", MODULES)
@given(workers=st.integers(1, 4), chunk=st.integers(1, COUNT))
def test_any_number_of_threads_gives_the_same_bits(name: str, workers: int, chunk: int) -> None:
    given = problem(name)
    runs = []
    for count in (1, workers):
        with ThreadPoolExecutor(count) as executor:
            runs.append(metric_of(given, chunk_size=chunk, executor=executor))
    assert alike(*runs)
    assert not any(part._forward_hooks for part in given[0].modules())


def test_two_calls_at_once_on_one_module_do_not_see_each_other() -> None:
    given = problem("perceptron")
    expected = metric_of(given, chunk_size=1)
    with ThreadPoolExecutor(4) as executor:
        found = list(executor.map(lambda _: metric_of(given, chunk_size=1), range(12)))
    assert all(alike(one, expected) for one in found)


def test_processes_give_the_same_factors() -> None:
    given = problem("perceptron")
    with ThreadPoolExecutor(1) as executor:
        expected = metric_of(given, chunk_size=CHUNK, executor=executor)
    assert alike(metric_of(given, chunk_size=CHUNK, executor=worker_processes(2)), expected)


def test_a_module_that_pickle_cannot_send_is_refused_by_processes_and_taken_by_threads() -> None:
    module = filled(Own(lambda m, x: torch.tanh(m.a(x)), a=nn.Linear(5, 3)), 1, torch.float64)
    given = module, *problem("perceptron")[1:]
    with pytest.raises(WorkerError, match=r"cannot be sent to other processes(.|\n)*take threads"):
        metric_of(given, chunk_size=CHUNK, executor=worker_processes(1))
    with ThreadPoolExecutor(2) as executor:
        metric_of(given, chunk_size=CHUNK, executor=executor)


# -- saved ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", MODULES)
def test_an_interrupted_run_goes_on_and_comes_to_the_same_bits(name: str, dtype: Any, tmp_path: Path) -> None:
    given, told = problem(name, dtype), []
    how: dict[str, Any] = {"chunk_size": CHUNK, "checkpoint": Checkpoint(tmp_path / "sums.npz")}
    with pytest.raises(Stopped):
        metric_of(given, progress=stop_after(12), **how)
    resumed = metric_of(given, progress=told.append, **how)
    assert [(progress.done, progress.resumed) for progress in told] == [(12, 12), (18, 12), (20, 12)]
    assert alike(resumed, metric_of(given, chunk_size=CHUNK))
    # And again, from the complete sums alone.
    assert alike(metric_of(given, progress=stop_after(21), **how), resumed)


def test_another_module_and_other_layers_do_not_go_on_from_the_file(tmp_path: Path) -> None:
    module, X, how = problem("tokens")
    checkpoint = Checkpoint(tmp_path / "sums.npz")
    metric_of((module, X, how), chunk_size=CHUNK, checkpoint=checkpoint)
    with pytest.raises(ValuesError, match="layers: now 2, saved 2, 4"):
        metric_of((module, X, how), checkpoint=checkpoint, layers=["2"])
    with pytest.raises(ValuesError, match="first 64 data: now"):
        metric_of((module, X.flip(0), how), checkpoint=checkpoint)
    with pytest.raises(ValuesError, match="module: now"):
        metric_of((nn.Sequential(*module[:3], nn.Sigmoid(), module[4]), X, how), checkpoint=checkpoint)
    with torch.no_grad():  # of a part that has no metric
        module[0].weight[0, 0] += 1e-9
    with pytest.raises(ValuesError, match="parameters and buffers: now"):
        metric_of((module, X, how), checkpoint=checkpoint)


def test_frames_are_named_for_networks_and_never_for_modules(tmp_path: Path) -> None:
    net, weights, iota = gk.MLP.from_arrays([np.eye(2)], [np.zeros(2)])
    with pytest.raises(KindError, match="a Parameterization, such as the network's iota"):
        net.kfac_metric(
            weights, iota.sample(np.eye(2)), gk.Categorical().on(iota), checkpoint=Checkpoint(tmp_path / "a.npz")
        )
    with pytest.raises(KindError, match="Leave the parameterization out"):
        metric_of(problem("perceptron"), checkpoint=Checkpoint(tmp_path / "b.npz", iota))
    with pytest.raises(KindError, match=r"must be a geomkfac\.interop\.Checkpoint"):
        metric_of(problem("perceptron"), checkpoint="b.npz")
