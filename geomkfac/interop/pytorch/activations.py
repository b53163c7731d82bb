"""Activations in PyTorch and here: which module is which function, both ways.

Each activation says itself what it is called in PyTorch (`InPyTorch`); here stands what is done with that.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from geomkfac.errors import SpaceMismatchError
from geomkfac.interop.pytorch.support import refusal
from geomkfac.maps.activations.activation import Activation
from geomkfac.maps.activations.by_name import ACTIVATIONS
from geomkfac.maps.activations.polynomials import Polynomial
from geomkfac.maps.activations.rectifiers import Softplus

LINEAR_ABOVE = 40.0
"""Where PyTorch's softplus turns into its asymptote: there they differ by exp(-40), below float64's rounding."""

_THERE = [(phi, phi.pytorch) for phi in ACTIVATIONS.values() if phi.pytorch is not None]

KNOWN = {there.module for _, there in _THERE}
"""The modules of torch.nn that are activations here."""

FUNCTIONS = {f"{there.function}{place}": there.module for _, there in _THERE if there.function for place in ("", "_")}
"""Modules of torch.nn that do what functions do, which change their argument in place where their names end in '_'."""


def activation_of(name: str, part: Any) -> str | None:
    """The name of a module's activation here, as `activation` takes it; None for other modules.

    Raises
    ------
    UnplaceableModuleError : it is a softplus with another beta, or another threshold.
    """
    kind = type(part).__name__
    if kind == "Softplus" and (part.beta != 1 or part.threshold < 20):
        raise refusal(
            name, part, f"softplus is log(1 + exp(z)); this one has beta={part.beta} and turns into its asymptote "
            f"at {part.threshold}",
            "Use beta=1 and a threshold of 20 or more: there the two differ by 2e-9 at most.",
        )  # fmt: skip
    for phi, there in _THERE:
        if there.module == kind and all(getattr(part, key) == value for key, value in there.settings.items()):
            parameters = {own: float(getattr(part, theirs)) for own, theirs in there.parameters.items()}
            return type(phi)(**parameters).name
    return None


def module_of(function: Activation) -> Any:
    """A PyTorch module that does what an activation does.

    Raises
    ------
    SpaceMismatchError : PyTorch has none.
    """
    if isinstance(function, Polynomial):
        from geomkfac.interop.pytorch.fixed_layers import FixedPolynomial

        return FixedPolynomial([float(c) for c in function.coefficients])
    there = function.pytorch
    if there is None:
        raise SpaceMismatchError(f"PyTorch has no module for the activation {function!r}.")
    parameters = {theirs: getattr(function, own) for own, theirs in there.parameters.items()}
    threshold = {"threshold": LINEAR_ABOVE} if isinstance(function, Softplus) else {}
    return getattr(import_module("torch").nn, there.module)(**there.settings, **parameters, **threshold)
