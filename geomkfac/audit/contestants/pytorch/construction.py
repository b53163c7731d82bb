"""How a PyTorch optimizer is made: what it asks for besides parameters, and the forms in which it takes these."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

FORMS: Mapping[str, str] = {
    "list": "",
    "flagged": "in two groups, with use_muon where it is a matrix",
    "named": "with names",
    "matrices": "on weight matrices alone, as it takes no others; biases stay",
}
"""Forms of parameters, in the order in which they are tried, and what a report says of each."""

COUNTS: Mapping[str, int] = {
    "num_iterations": 100,
    "total_steps": 100,
    "num_training_steps": 100,
    "num_epochs": 10,
    "num_batches_per_epoch": 10,
    "num_data": 60,
}
"""Numbers that some ask for, and that a training run would know."""


class NotMadeError(Exception):
    """An optimizer that cannot be made, with the reason."""


@final
class Maker:
    """Makes an optimizer of parameters, as what its signature asks for says.

    Attributes
    ----------
    says : what was supplied besides parameters, in words
    rated : whether it has a learning rate
    """

    def __init__(self, torch: Any, make: Callable[..., Any]) -> None:
        self.torch, self.make = torch, make
        self.says: list[str] = []
        self.rated = True
        self._wraps = self._shell = False
        self._extras: dict[str, Callable[[Sequence[Any]], Any]] = {}
        self._takes_rate = True
        self._others: dict[str, float] = {}
        self._read_signature()

    def _read_signature(self) -> None:
        try:
            asked = list(inspect.signature(self.make).parameters.values())
        except (TypeError, ValueError):
            return
        kinds = inspect.Parameter
        names = {one.name for one in asked}
        self._takes_rate = "lr" in names or any(one.kind is kinds.VAR_KEYWORD for one in asked)
        positional = [one for one in asked if one.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
        if positional:
            self._wraps = positional[0].name in ("optimizer", "base_optimizer")
            self._shell = positional[0].name in ("model", "module")
        if self._wraps:
            self.says.append("around torch.optim.SGD")
        if self._shell:
            self.says.append("given a module that holds the parameters")
        for one in asked:
            if one.name != "lr" and "lr" in one.name.split("_") and type(one.default) is float and one.default > 0:
                self._others[one.name] = one.default
            free = one.default is kinds.empty and one.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
            if free and one.name != "lr" and (one.kind is kinds.KEYWORD_ONLY or one is not positional[0]):
                self._supply(one.name)

    def _supply(self, name: str) -> None:
        if name in ("base_optimizer", "base_optimizer_cls"):
            self._extras[name] = lambda parameters: self.torch.optim.SGD
            self.says.append("around torch.optim.SGD")
        elif name in COUNTS:
            self._extras[name] = lambda parameters: COUNTS[name]
            self.says.append(f"with {name}={COUNTS[name]}")
        elif name in ("params", "parameters"):
            self._extras[name] = list
        elif name in ("model", "module"):
            self._extras[name] = self._module
            self.says.append("given a module that holds the parameters")
        else:
            raise NotMadeError(
                f"it asks for {name!r} besides parameters. Pass a function of parameters and lr= that supplies it."
            )

    def __call__(self, parameters: Sequence[Any], rate: float | None, form: str, factor: float = 1.0) -> Any:
        """The optimizer; with its own rate for None.

        Parameters
        ----------
        factor : of its other learning rates, such as ``lr_1d``, to their defaults

        Raises
        ------
        NotMadeError : there is nothing of the form in these parameters.
        """
        given = self._formed(parameters, form)
        extras = {name: supplied(parameters) for name, supplied in self._extras.items()}
        if factor != 1:
            extras |= {name: value * factor for name, value in self._others.items()}
        rated = {} if rate is None else {"lr": rate}
        if self._wraps:
            given = self.torch.optim.SGD(given, **rated)
        if self._shell:
            given = self._module(parameters)
        if rated and self._takes_rate and not self._wraps:
            return self.make(given, **extras, **rated)
        made = self.make(given, **extras)
        if rate is not None:
            for group in getattr(made, "param_groups", []):
                if "lr" in group:
                    group["lr"] = rate
        return made

    def own_rate(self, parameters: Sequence[Any], form: str) -> float | None:
        """The learning rate that it has where none is asked for; None where it has none."""
        made = self(parameters, None, form)
        try:
            rate = inspect.signature(self.make).parameters["lr"].default
        except (KeyError, TypeError, ValueError):
            rate = None
        if not _is_number(rate):
            groups = getattr(made, "param_groups", None) or [{}]
            rate = groups[0].get("lr")
        self.rated = _is_number(rate) or isinstance(rate, self.torch.Tensor)
        return float(rate) if self.rated else None

    def _formed(self, parameters: Sequence[Any], form: str) -> Any:
        matrices = [one for one in parameters if one.ndim == 2]
        if form == "flagged":
            groups = (matrices, True), ([one for one in parameters if one.ndim != 2], False)
            return [{"params": some, "use_muon": flag} for some, flag in groups if some]
        if form == "named":
            return _names(parameters)
        if form == "matrices":
            if not matrices:
                raise NotMadeError("it takes matrices alone, and there are none in this layout.")
            for one in parameters:
                one.requires_grad_(one.ndim == 2)
            return matrices
        return list(parameters)

    def _module(self, parameters: Sequence[Any]) -> Any:
        module = self.torch.nn.Module()
        for name, one in _names(parameters):
            layer, kind = name.split(".")
            if not hasattr(module, layer):
                module.add_module(layer, self.torch.nn.Module())
            getattr(module, layer).register_parameter(kind, one)
        return module


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _names(parameters: Sequence[Any]) -> list[tuple[str, Any]]:
    """``layer0.weight``, ``layer0.bias``, ...: weights and biases are counted apart."""
    counts = {"weight": 0, "bias": 0}
    named = []
    for one in parameters:
        kind = "bias" if one.ndim == 1 else "weight"
        named.append((f"layer{counts[kind]}.{kind}", one))
        counts[kind] += 1
    return named
