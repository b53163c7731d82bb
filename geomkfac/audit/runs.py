"""Training runs of one optimizer on a twin: what every contestant has, and rules over arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, final

import numpy as np

from geomkfac.arrays import namespace_of
from geomkfac.audit.problem import Twin
from geomkfac.audit.second_order import has_hessian, hessian_of
from geomkfac.audit.storage import PLAIN, Arrays, Storage
from geomkfac.errors import GeomkfacError, KindError, MissingExtraError, ShapeError, SingularMatrixError
from geomkfac.updates import NetworkToUpdate, Update

__all__ = ["Contestant", "RuleContestant", "UnauditableError", "contestant", "flat", "import_torch", "on_rule"]


class UnauditableError(GeomkfacError, ValueError):
    """An optimizer that cannot be audited, with the reason."""


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


@final
class RuleContestant(Contestant):
    """An update rule over the array contract, run on NumPy arrays."""

    def __init__(self, rule: Update, name: str | None = None) -> None:
        self.rule, self.name = rule, name or str(rule)

    def run(
        self, twin: Twin, start: Arrays, *, rate: float, steps: int, loss_scale: float = 1.0, storage: Storage = PLAIN
    ) -> list[list[tuple[Any, Any]]]:
        if storage is not PLAIN:
            raise UnauditableError(f"{self.name} sees (W b) of every layer: there are no other layouts of it.")
        current, state, found = twin.cast(start), {}, []  # type: ignore[var-annotated]
        for step in range(steps):
            layers = twin.layers(current)
            if loss_scale != 1:
                layers = tuple(_scaled(layer, loss_scale) for layer in layers)
            hessian = _hessian(twin, current, loss_scale) if has_hessian(twin) else None
            network = NetworkToUpdate(layers, np.asarray(rate, dtype=twin.dtype), step, state, layers[0].ns, hessian)
            current = self._checked(twin, self._taken(network))
            found.append(current)
        return found

    def _taken(self, network: NetworkToUpdate) -> Any:
        """A step of the rule, with its errors named."""
        try:
            return self.rule(network)
        except GeomkfacError:
            raise
        except np.linalg.LinAlgError as error:
            raise SingularMatrixError(f"{self.name} cannot solve: {error}.") from error
        except Exception as error:  # A rule may raise anything.
            raise UnauditableError(f"{self.name} cannot take a step: {type(error).__name__}: {error}") from error

    def _checked(self, twin: Twin, new: Any) -> list[tuple[Any, Any]]:
        """What the rule returned, as weights and biases."""
        try:
            if any(str(part.dtype) != twin.dtype for part in new):
                raise KindError("another dtype")
            return twin.of_components(list(new))
        except (AttributeError, ShapeError, KindError, TypeError) as error:
            shapes = [(len(b), W.size // len(b) + 1) for W, b in twin.start]
            raise UnauditableError(
                f"{self.name} does not return new weights.\n"
                f"  required: (W b) of every layer, arrays of {twin.dtype} of shapes {shapes}\n"
                f"  came    : {_described(new)}"
            ) from error


def _described(new: Any) -> str:
    if not isinstance(new, list | tuple):
        return type(new).__name__
    parts = [f"{getattr(one, 'dtype', type(one).__name__)} {tuple(getattr(one, 'shape', ()))}" for one in new]
    return ", ".join(parts) or "nothing"


def _hessian(twin: Twin, arrays: Arrays, scale: float) -> Callable[[], Any]:
    return lambda: hessian_of(twin, arrays) * np.asarray(scale, dtype=twin.dtype)


def _scaled(layer: Any, scale: float) -> Any:
    return replace(layer, derivatives=layer.derivatives * namespace_of(layer.derivatives).scalar(scale))


def on_rule(rule: Update, name: str | None = None) -> RuleContestant:
    """An update rule over the array contract, for `audit`; those of `geomkfac.updates` need no wrapping.

    Parameters
    ----------
    rule : a function of a `NetworkToUpdate`; it may also be written for NumPy arrays
    name : as shown; None for the function's own
    """
    return RuleContestant(rule, name or str(getattr(rule, "__qualname__", rule)))


def contestant(optimizer: Any, rate: float | None) -> Contestant:
    """What is to be audited: a PyTorch optimizer's class or factory, a rule, or a `Contestant`."""
    if isinstance(optimizer, Contestant):
        return optimizer
    if not callable(optimizer):
        advice = "Pass its class, or a function that makes one of parameters."
        if isinstance(optimizer, str):
            advice = "Import it first: the name is for the command line, geomkfac audit torch.optim:Adam."
        raise KindError(
            "an audit takes an optimizer class, a function of parameters, or a rule.\n"
            f"  came: {optimizer if isinstance(optimizer, str) else type(optimizer).__name__}\n{advice}"
        )
    if str(getattr(optimizer, "__module__", "")).startswith("geomkfac.audit.libraries"):
        return contestant(optimizer(), rate)
    if type(optimizer).__module__.startswith("geomkfac.updates"):
        return RuleContestant(optimizer)
    if isinstance(optimizer, type) and optimizer.__module__.startswith("geomkfac.updates"):
        return RuleContestant(optimizer())
    from geomkfac.audit.torch_runs import TorchContestant

    return TorchContestant(optimizer, rate)


def flat(arrays: Sequence[tuple[Any, Any]]) -> Any:
    """All entries in one vector, float64."""
    return np.concatenate([np.asarray(part, dtype=float).ravel() for pair in arrays for part in pair])
