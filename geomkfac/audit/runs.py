"""Training runs of one optimizer on a problem and on its double: PyTorch optimizers, and rules over arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np

from geomkfac.arrays import namespace_of
from geomkfac.audit.problem import Bases, Problem
from geomkfac.errors import GeomkfacError, KindError, MissingExtraError, ValuesError
from geomkfac.maps.activation import tanh
from geomkfac.metrics import Bernoulli
from geomkfac.theorems.textbook import homogeneous
from geomkfac.updates import LayerToUpdate, NetworkToUpdate, Update

__all__ = ["Contestant", "RuleContestant", "TorchContestant", "UnauditableError"]


class UnauditableError(GeomkfacError, ValueError):
    """An optimizer that cannot be audited, with the reason."""


class Contestant(ABC):
    """Something that trains a network.

    Attributes
    ----------
    name : as shown
    how : in what way it was run, where that is not the plain one
    """

    name: str
    how: str = ""

    @abstractmethod
    def run(
        self, problem: Problem, weights: Sequence[Any], inputs: Any, bases: Bases, *, dtype: str, rate: float,
        steps: int, loss_scale: float,
    ) -> list[list[Any]]:  # fmt: skip
        """The weights (m, n + 1) after each of `steps` updates, float64 copies."""


@final
class RuleContestant(Contestant):
    """An update rule over the array contract, run on NumPy arrays."""

    def __init__(self, rule: Update, name: str | None = None) -> None:
        self.rule, self.name = rule, name or str(rule)

    def run(
        self, problem: Problem, weights: Sequence[Any], inputs: Any, bases: Bases, *, dtype: str, rate: float,
        steps: int, loss_scale: float,
    ) -> list[list[Any]]:  # fmt: skip
        current = [np.asarray(W, dtype=dtype) for W in weights]
        x, cast = np.asarray(inputs, dtype=dtype), lambda matrix: np.asarray(matrix, dtype=dtype)
        own = Bases(*(tuple(map(cast, part)) for part in (bases.Omega, bases.gamma, bases.Phi, bases.tau)))
        state: dict[Any, Any] = {}
        found = []
        for step in range(steps):
            layers = _layers(problem, current, x, own, loss_scale)
            network = NetworkToUpdate(layers, np.asarray(rate, dtype=dtype), step, state, namespace_of(x))
            current = [np.asarray(W) for W in self.rule(network)]
            found.append([np.asarray(W, dtype=float) for W in current])
        return found


def _layers(problem: Problem, weights: Sequence[Any], x: Any, bases: Bases, scale: float) -> tuple[LayerToUpdate, ...]:
    """What a rule may know of every layer of the double."""
    ns, last = namespace_of(x), len(weights) - 1
    a, inputs, slopes = x, [], []
    for i, W in enumerate(weights):
        inputs.append(homogeneous(ns, a))
        z = (inputs[-1] @ W.T) @ bases.Phi[i].T + bases.tau[i]
        if i < last:
            value, slope = tanh.value_and_derivative(ns, z)
            slopes.append(slope)
            a = value @ bases.Omega[i + 1].T + bases.gamma[i + 1]
    family = Bernoulli()
    coefficients, covectors = family.fisher_factor(ns, z)
    Dz = family.loss_gradient(ns, z, np.asarray(problem.targets, dtype=x.dtype)) * ns.scalar(scale)
    layers: list[LayerToUpdate] = []
    for i in range(last, -1, -1):
        Dz, covectors = Dz @ bases.Phi[i], covectors @ bases.Phi[i]
        layers.insert(0, LayerToUpdate(weights[i], inputs[i], Dz, coefficients, covectors, ns))
        if i:
            back = weights[i][:, :-1] @ bases.Omega[i]
            Dz, covectors = (Dz @ back) * slopes[i - 1], (covectors @ back) * slopes[i - 1]
    return tuple(layers)


@final
class TorchContestant(Contestant):
    """A PyTorch optimizer, as a class or a function of parameters.

    Parameters
    ----------
    make : called with parameters, and with ``lr=`` where a rate is asked for
    rate : the learning rate; None for the optimizer's own default
    """

    def __init__(self, make: Callable[..., Any], rate: float | None = None, name: str | None = None) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingExtraError(
                "PyTorch optimizers need PyTorch, which is not installed.\n"
                "Install the extra: pip install 'geomkfac[torch]'."
            ) from error
        self._torch, self._make = torch, make
        label: Any = make
        self.name = name or str(getattr(label, "__qualname__", label))
        self.rate = self._default() if rate is None else rate
        self._matrices_alone = False

    def _default(self) -> float:
        """The rate of an optimizer made without one."""
        torch = self._torch
        try:
            made = self._make([torch.nn.Parameter(torch.zeros(2, 2))])
            return float(made.param_groups[0]["lr"])
        except KeyError as error:
            raise UnauditableError(f"{self.name} names no learning rate; pass one.") from error
        except TypeError as error:
            raise UnauditableError(f"{self.name} cannot be made of parameters alone: {error}") from error

    def run(
        self, problem: Problem, weights: Sequence[Any], inputs: Any, bases: Bases, *, dtype: str, rate: float,
        steps: int, loss_scale: float,
    ) -> list[list[Any]]:  # fmt: skip
        torch = self._torch
        kind = getattr(torch, dtype)

        def cast(array: Any) -> Any:
            return torch.tensor(np.asarray(array), dtype=kind)

        matrices = [torch.nn.Parameter(cast(W[:, :-1])) for W in weights]
        biases = [torch.nn.Parameter(cast(W[:, -1])) for W in weights]
        x, y = cast(inputs), cast(problem.targets)
        maps = [tuple(map(cast, part)) for part in (bases.Omega, bases.gamma, bases.Phi, bases.tau)]
        optimizer = self._made(torch, matrices, biases, rate)

        def closure() -> Any:
            optimizer.zero_grad()
            outputs = self._outputs(torch, matrices, biases, x, maps)
            total = torch.nn.functional.binary_cross_entropy_with_logits(outputs, y, reduction="sum")
            loss = loss_scale * total / len(x)
            loss.backward()
            return loss

        found = []
        for _ in range(steps):
            self._stepped(optimizer, closure)
            found.append(
                [
                    np.column_stack([W.detach().numpy().astype(float), b.detach().numpy().astype(float)])
                    for W, b in zip(matrices, biases, strict=True)
                ]
            )
        return found

    def _made(self, torch: Any, matrices: list[Any], biases: list[Any], rate: float) -> Any:
        parameters = [p for pair in zip(matrices, biases, strict=True) for p in pair]
        torch.manual_seed(0)
        if not self._matrices_alone:
            try:
                return self._make(parameters, lr=rate)
            except ValueError as error:
                if "2D" not in str(error) and "dimension" not in str(error):
                    raise UnauditableError(f"{self.name} refuses the parameters: {error}") from error
                self._matrices_alone = True
                self.how = "on weight matrices alone, as it takes no others; biases stay"
            except (TypeError, KeyError, RuntimeError, AttributeError) as error:
                raise UnauditableError(f"{self.name} cannot be made: {error}") from error
        for bias in biases:
            bias.requires_grad_(False)
        return self._make(matrices, lr=rate)

    def _stepped(self, optimizer: Any, closure: Any) -> None:
        try:
            optimizer.step(closure)
        except (TypeError, RuntimeError, ValueError, NotImplementedError) as error:
            raise UnauditableError(f"{self.name} cannot take a step here: {error}") from error

    @staticmethod
    def _outputs(torch: Any, matrices: list[Any], biases: list[Any], x: Any, maps: list[Any]) -> Any:
        (Omega, gamma, Phi, tau), a = maps, x
        for i, (W, b) in enumerate(zip(matrices, biases, strict=True)):
            z = (a @ W.T + b) @ Phi[i].T + tau[i]
            if i == len(matrices) - 1:
                return z
            a = torch.tanh(z) @ Omega[i + 1].T + gamma[i + 1]
        raise ValuesError("a network needs a layer.")


def contestant(optimizer: Any, rate: float | None) -> Contestant:
    """What is to be audited: a PyTorch optimizer's class or factory, or an update rule of `geomkfac.updates`."""
    if not callable(optimizer):
        raise KindError(f"an audit takes an optimizer class, a function of parameters, or a rule, not {optimizer!r}.")
    if type(optimizer).__module__.startswith("geomkfac.updates"):
        return RuleContestant(optimizer)
    if isinstance(optimizer, type) and optimizer.__module__.startswith("geomkfac.updates"):
        return RuleContestant(optimizer())
    return TorchContestant(optimizer, rate)
