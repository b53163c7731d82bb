"""The registry of gauge programs: public name to a small program that computes through named frames alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from geomkfac.arrays import GF, floating
from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Kind

FIELD = GF(1_073_741_827)
PROGRAMS: list[Program] = []
STEPS = 16
"""Roundings that follow one another in a program without a solve, at most."""
FRAME = 40.0
"""Condition number of one hidden change on a hull: at most 10 for the matrix, times its translation's 4."""


@dataclass(frozen=True)
class Program:
    """A program for some public names.

    Attributes
    ----------
    names : the public names that it exercises
    run : takes a kind of scalar, makes its own spaces, returns arrays in named frames
    kinds : over which it runs
    rounds_nothing : whether it takes sums and products alone, so that powers of two leave every bit
    slots : how many slots the deepest object has; each conversion costs one condition number per slot
    solves : condition number of what it solves, in named frames; 1 without a solve
    """

    names: tuple[str, ...]
    run: Callable[[Kind], Any]
    kinds: tuple[Kind, ...]
    rounds_nothing: bool
    slots: int
    solves: float

    def __call__(self, kind: Kind) -> Any:
        return self.run(kind)


def program(
    *names: str,
    exact: bool = True,
    floats: bool = True,
    rounds_nothing: bool = True,
    slots: int = 1,
    solves: float = 1.0,
) -> Callable[[Callable[[Kind], Any]], Callable[[Kind], Any]]:
    """Register a function as the program of `names`."""

    def register(run: Callable[[Kind], Any]) -> Callable[[Kind], Any]:
        kinds = (FIELD,) * exact + (floating,) * floats
        PROGRAMS.append(Program(names, run, kinds, rounds_nothing, slots, solves))
        return run

    return register


def tolerance(entry: Program) -> float:
    """Relative: every slot is converted by a hidden reference and a hidden storage frame, in and out.

    Dimensions here are at most 8, and no part of an object has more than two slots.  A solve multiplies by
    its condition number, which a hidden frame raises by its own.
    """
    frames = (FRAME**2) ** entry.slots
    return STEPS * 8 * 2.0**-52 * frames * (1.0 if entry.solves == 1.0 else entry.solves * FRAME)


def numbers(kind: Kind, *shape: int, seed: int = 0) -> Array:
    """Integers from -3 to 3 that are the same in every run."""
    drawn = np.random.default_rng([seed, *shape]).integers(-3, 4, size=shape)
    ns: Any = kind.default_namespace
    return ns.asarray(drawn) if kind.is_exact else drawn.astype(float)
