"""Update rules over the array contract, as contestants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, final

import numpy as np

from geomkfac.arrays import LIBRARY_ON, FloatingNamespace, floating_namespace, namespace_of
from geomkfac.audit.contestants.contestant import ANYTHING, Contestant, UnauditableError
from geomkfac.audit.contestants.hessians import has_hessian, hessian_of
from geomkfac.audit.twins.storage import PLAIN, Arrays
from geomkfac.audit.twins.twin import Twin
from geomkfac.errors import GeomkfacError, KindError, ShapeError, SingularMatrixError
from geomkfac.names import look_up
from geomkfac.updates import LayerToUpdate, NetworkToUpdate, Update


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

    def run(self, twin: Twin, start: Arrays, *, rate: float, steps: int) -> list[list[tuple[Any, Any]]]:
        if twin.storage is not PLAIN:
            raise UnauditableError(f"{self.name} sees (W b) of every layer: there are no other layouts of it.")
        current, state, found = twin.cast(start), {}, []  # type: ignore[var-annotated]
        ns = self._namespace(twin.dtype)
        for step in range(steps):
            layers = tuple(_placed(layer, ns) for layer in twin.layers(current))
            hessian = _hessian(twin, current, ns) if has_hessian(twin) else None
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
        except ANYTHING as error:
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


def _hessian(twin: Twin, arrays: Arrays, ns: FloatingNamespace) -> Callable[[], Any]:
    return lambda: ns.cast_numpy(hessian_of(twin, arrays))


def _placed(layer: LayerToUpdate, ns: FloatingNamespace) -> LayerToUpdate:
    """The same, with its arrays where `ns` has them."""
    if layer.ns is ns:
        return layer
    names = ("weights", "inputs", "derivatives", "coefficients", "covectors")
    return replace(layer, ns=ns, **{name: ns.cast_numpy(getattr(layer, name)) for name in names})


def on_rule(rule: Update, name: str | None = None) -> RuleContestant:
    """An update rule over the array contract, for `audit`; those of `geomkfac.updates` need no wrapping.

    Parameters
    ----------
    rule : a function of a `NetworkToUpdate`; it may also be written for NumPy arrays
    name : as shown; None for the function's own
    """
    return RuleContestant(rule, name or str(getattr(rule, "__qualname__", rule)))
