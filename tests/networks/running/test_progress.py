"""Progress, and when the end is to be expected."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac.networks import Progress
from geomkfac.networks.running import summing as running


@given(st.integers(1, 1000), st.integers(0, 1000), st.integers(1, 1000), st.integers(1, 100))
def test_at_a_steady_rate_the_estimate_is_right(fresh: int, resumed: int, left: int, rate: int) -> None:
    progress = Progress(resumed + fresh, resumed + fresh + left, fresh / rate, resumed)
    assert progress.remaining == pytest.approx(left / rate, rel=1e-12)


def test_nothing_is_estimated_where_nothing_is_known() -> None:
    assert Progress(5, None, 2.0).remaining is None
    assert Progress(5, 9, 0.0, resumed=5).remaining is None
    assert str(Progress(5, None, 2.0)) == "5 data; 2 s"


@pytest.mark.parametrize(("seconds", "shown"), [(59.6, "60 s"), (300.0, "5 min"), (9000.0, "2.5 h")])
def test_durations_are_shown_in_units_that_fit(seconds: float, shown: str) -> None:
    assert str(Progress(1, None, seconds)) == f"1 data; {shown}"


def test_a_pass_tells_after_every_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr(running, "monotonic", lambda: float(next(ticks)))
    net, weights, iota = gk.MLP.from_arrays([np.eye(2)], [np.zeros(2)])
    data, loss, told = iota.sample(np.eye(2)[[0, 1, 0, 1, 0]], np.zeros(5, int)), gk.Categorical().on(iota), []
    net.loss(weights, data, loss, chunk_size=2, progress=told.append)
    assert told == [Progress(2, 5, 1.0), Progress(4, 5, 2.0), Progress(5, 5, 3.0)]
    assert told[1].remaining == 0.5


def test_a_word_that_is_none_of_them_is_refused() -> None:
    net, weights, iota = gk.MLP.from_arrays([np.eye(2)], [np.zeros(2)])
    data, loss = iota.sample(np.eye(2), np.zeros(2, int)), gk.Categorical().on(iota)
    with pytest.raises(TypeError, match=r"'chunks' is no keyword here.*chunk_size, memory_limit"):
        net.kfac_metric(weights, data, loss, chunks=3)  # type: ignore[call-arg]
