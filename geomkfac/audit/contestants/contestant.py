"""What every contestant has: something that trains a network, its demands, and why it may not be audited."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from geomkfac.audit.problem import Twin
from geomkfac.audit.storage import PLAIN, Arrays, Storage
from geomkfac.errors import GeomkfacError, MissingExtraError


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

    def unfit(self, storage: Storage) -> str:
        """Why parameters in this layout cannot be taken; empty where they can.  Asked after a plain run."""
        return "" if storage is PLAIN or self.stores else "it sees (W b) of every layer, which has one layout"

    @abstractmethod
    def run(
        self, twin: Twin, start: Arrays, *, rate: float, steps: int, loss_scale: float = 1.0, storage: Storage = PLAIN
    ) -> list[list[tuple[Any, Any]]]:
        """The weights after each of `steps` updates: copies."""

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


def flat(arrays: Sequence[tuple[Any, Any]]) -> Any:
    """All entries in one vector, float64."""
    return np.concatenate([np.asarray(part, dtype=float).ravel() for pair in arrays for part in pair])
