"""Training runs of one optimizer on a twin: what every contestant has, and rules over arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, final

import numpy as np

from geomkfac.arrays import LIBRARY_ON, FloatingNamespace, floating_namespace, namespace_of
from geomkfac.audit.problem import Twin
from geomkfac.audit.second_order import has_hessian, hessian_of
from geomkfac.audit.storage import PLAIN, Arrays, Storage
from geomkfac.errors import GeomkfacError, KindError, MissingExtraError, ShapeError, SingularMatrixError
from geomkfac.names import look_up
from geomkfac.updates import LayerToUpdate, NetworkToUpdate, Update

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


@final
class RuleContestant(Contestant):
    """An update rule over the array contract, run on NumPy arrays, or on those of a device's own library."""

    def __init__(self, rule: Update, name: str | None = None, device: str = "cpu") -> None:
        self.rule, self.name = rule, name or str(rule)
        self._device, self._library = device, look_up("device", device, LIBRARY_ON)
        if device != "cpu":
            self._namespace("float64")
            self.how = f"on {device}"

    def on(self, device: str) -> Contestant:
        return RuleContestant(self.rule, self.name, device)

    def _namespace(self, dtype: str) -> FloatingNamespace:
        return floating_namespace(self._library, dtype, self._device)

    def run(
        self, twin: Twin, start: Arrays, *, rate: float, steps: int, loss_scale: float = 1.0, storage: Storage = PLAIN
    ) -> list[list[tuple[Any, Any]]]:
        if storage is not PLAIN:
            raise UnauditableError(f"{self.name} sees (W b) of every layer: there are no other layouts of it.")
        current, state, found = twin.cast(start), {}, []  # type: ignore[var-annotated]
        ns = self._namespace(twin.dtype)
        for step in range(steps):
            layers = tuple(_placed(layer, ns) for layer in twin.layers(current))
            if loss_scale != 1:
                layers = tuple(_scaled(layer, loss_scale) for layer in layers)
            hessian = _hessian(twin, current, loss_scale, ns) if has_hessian(twin) else None
            network = NetworkToUpdate(layers, ns.cast_numpy(rate), step, state, ns, hessian)
            current = self._checked(twin, self._taken(network), ns)
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

    def _checked(self, twin: Twin, new: Any, ns: FloatingNamespace) -> list[tuple[Any, Any]]:
        """What the rule returned, as weights and biases on the host."""
        try:
            if any(namespace_of(part) is not ns for part in new):
                raise KindError("another dtype, library or device")
            return twin.of_components([ns.to_numpy(part) for part in new])
        except (AttributeError, ShapeError, KindError, TypeError) as error:
            shapes = [(len(b), W.size // len(b) + 1) for W, b in twin.start]
            place = "" if self._device == "cpu" else f" ({ns.name})"
            raise UnauditableError(
                f"{self.name} does not return new weights.\n"
                f"  required: (W b) of every layer, arrays of {twin.dtype}{place} of shapes {shapes}\n"
                f"  came    : {_described(new)}"
            ) from error


def _described(new: Any) -> str:
    if not isinstance(new, list | tuple):
        return type(new).__name__
    parts = [f"{getattr(one, 'dtype', type(one).__name__)} {tuple(getattr(one, 'shape', ()))}" for one in new]
    return ", ".join(parts) or "nothing"


def _hessian(twin: Twin, arrays: Arrays, scale: float, ns: FloatingNamespace) -> Callable[[], Any]:
    return lambda: ns.cast_numpy(hessian_of(twin, arrays) * np.asarray(scale, dtype=twin.dtype))


def _placed(layer: LayerToUpdate, ns: FloatingNamespace) -> LayerToUpdate:
    """The same, with its arrays where `ns` has them."""
    if layer.ns is ns:
        return layer
    names = ("weights", "inputs", "derivatives", "coefficients", "covectors")
    return replace(layer, ns=ns, **{name: ns.cast_numpy(getattr(layer, name)) for name in names})


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


def contestant(optimizer: Any, rate: float | None, device: str = "cpu") -> Contestant:
    """What is to be audited, on a device: a PyTorch optimizer's class or factory, a rule, or a `Contestant`."""
    if isinstance(optimizer, Contestant):
        return optimizer if device == "cpu" else optimizer.on(device)
    if not callable(optimizer):
        advice = "Pass its class, or a function that makes one of parameters."
        if isinstance(optimizer, str):
            advice = "Import it first: the name is for the command line, geomkfac audit torch.optim:Adam."
        raise KindError(
            "an audit takes an optimizer class, a function of parameters, or a rule.\n"
            f"  came: {optimizer if isinstance(optimizer, str) else type(optimizer).__name__}\n{advice}"
        )
    if str(getattr(optimizer, "__module__", "")).startswith("geomkfac.audit.libraries"):
        return contestant(optimizer(), rate, device)
    if type(optimizer).__module__.startswith("geomkfac.updates"):
        return RuleContestant(optimizer, device=device)
    if isinstance(optimizer, type) and optimizer.__module__.startswith("geomkfac.updates"):
        return RuleContestant(optimizer(), device=device)
    from geomkfac.audit.torch_runs import TorchContestant

    return TorchContestant(optimizer, rate, device=device)


def flat(arrays: Sequence[tuple[Any, Any]]) -> Any:
    """All entries in one vector, float64."""
    return np.concatenate([np.asarray(part, dtype=float).ravel() for pair in arrays for part in pair])
