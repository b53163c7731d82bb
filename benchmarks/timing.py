"""Interleaved timing: every contestant once, then all again, so that a slow moment hits all alike."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

__all__ = ["Contestant", "interleaved", "medians"]

Contestant = Callable[[], Callable[[], Any]]
"""Prepares one run, untimed, and returns what is to be timed."""


def interleaved(contestants: Mapping[str, Contestant], *, repeats: int, warm_up: int = 1) -> dict[str, list[float]]:
    """Seconds of every run, ``A B C A B C ...``, after `warm_up` rounds that are not kept."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(warm_up + repeats):
        for name, prepare in contestants.items():
            run = prepare()
            gc.collect()
            gc.disable()
            try:
                start = perf_counter()
                run()
                elapsed = perf_counter() - start
            finally:
                gc.enable()
            if round_ >= warm_up:
                seconds[name].append(elapsed)
    return seconds


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each contestant's runs."""
    return {name: statistics.median(runs) for name, runs in seconds.items()}
