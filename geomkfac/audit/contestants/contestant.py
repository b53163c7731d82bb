"""What every contestant has: it trains a twin; its demands, and why it may not be audited."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from geomkfac.audit.twins.storage import PLAIN, Arrays, Storage
from geomkfac.audit.twins.twin import Twin
from geomkfac.errors import GeomkfacError, MissingExtraError
from geomkfac.metrics import Bernoulli, Gaussian
from geomkfac.metrics.families.output_family import OutputFamily

RULE_RATE = 0.01
"""The learning rate of rules, which have no default."""


ANYTHING = (Exception, SystemExit)
"""What the code of others may raise while it is imported or run: it may also end the program."""


class UnauditableError(GeomkfacError, ValueError):
    """An optimizer that cannot be audited, with the reason."""


class Contestant(ABC):
    """Something that trains a network.

    Attributes
    ----------
    name : as shown
    how : in what way it was run, where that is not the plain one
    rate : its own learning rate; None where it has none
    stores : whether it sees parameters, so that their layout can matter
    scales : whether its loss can be multiplied by a number
    squares : whether it is run on a squared error, and not on a cross-entropy of probabilities
    draws : whether it draws random numbers; they are the same in every run
    seed : of these random numbers
    """

    name: str
    how: str = ""
    rate: float | None = None
    stores: bool = False
    scales: bool = True
    squares: bool = False
    draws: bool = False
    seed: int = 0

    @property
    def family(self) -> OutputFamily:
        """Of the outputs of the networks on which it is run."""
        return Gaussian() if self.squares else Bernoulli()

    def rate_of(self, rate: float | None) -> float:
        """The learning rate asked for, the optimizer's own, or that of rules."""
        return rate if rate is not None else RULE_RATE if self.rate is None else self.rate

    def unfit(self, storage: Storage) -> str:
        """Why parameters in this layout cannot be taken; empty where they can.  Asked after a plain run."""
        return "" if storage is PLAIN or self.stores else "it sees (W b) of every layer, which has one layout"

    @abstractmethod
    def run(self, twin: Twin, start: Arrays, *, rate: float, steps: int) -> list[list[tuple[Any, Any]]]:
        """Train a twin: the weights after each of `steps` updates from `start`, copies."""

    @contextmanager
    def errors_named(self, what: str = "cannot take a step here") -> Iterator[None]:
        """Any error of an optimizer or a library as one that names the contestant; those of the network as they are."""
        try:
            yield
        except GeomkfacError:
            raise
        except ANYTHING as error:
            raise UnauditableError(f"{self.name} {what}: {first_line(error)}") from error

    def on(self, device: str) -> Contestant:
        """The same, with its arithmetic on another device.

        Raises
        ------
        UnauditableError : it runs on the CPU alone.
        UnknownNameError, MissingExtraError, DeviceError : no such device, no library for it, none here.
        """
        if device == "cpu":
            return self
        raise UnauditableError(
            f"{self.name} is run on the CPU alone.\n  required: device 'cpu'\n  came    : {device!r}"
        )


def import_torch() -> Any:
    """PyTorch, or an error that names the extra."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError(
            "PyTorch optimizers need PyTorch, which is not installed.\n"
            "Install the extra: pip install 'geomkfac[torch]'."
        ) from error
    return torch


def first_line(error: BaseException) -> str:
    """What an error says first; its class where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def flat(arrays: Sequence[tuple[Any, Any]]) -> Any:
    """All entries in one vector, float64."""
    return np.concatenate([np.asarray(part, dtype=float).ravel() for pair in arrays for part in pair])
