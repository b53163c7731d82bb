"""Updates of PyTorch modules in the audit: for K-FAC libraries, which look into the layers of a module.

The twin is a plain `torch.nn.Module` with parameters in the twin's frames, between fixed affine maps without
parameters; its outputs come back to the problem's frame, as a library's loss knows no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np

from geomkfac.audit.contestants.contestant import Contestant, UnauditableError, import_torch
from geomkfac.audit.contestants.named import named
from geomkfac.audit.contestants.pytorch.surroundings import surrounded
from geomkfac.audit.twins.storage import PLAIN, Arrays, Storage
from geomkfac.audit.twins.twin import Twin
from geomkfac.interop.pytorch.export import to_module
from geomkfac.networks.recurrent import RecurrentNetwork


@final
@dataclass(frozen=True, slots=True)
class ModuleToUpdate:
    """What an update of a PyTorch module knows.

    Attributes
    ----------
    module : torch.nn.Module; the update changes its parameters in place
    inputs, targets : tensors, the data on the first axis
    loss : torch.nn loss module of ``(outputs, targets)``, with reduction 'mean'
    rate : the learning rate
    step : the number of the update, from 0
    state : a dict of the update's own, empty before the first one, kept between them
    """

    module: Any
    inputs: Any
    targets: Any
    loss: Any
    rate: float
    step: int
    state: dict[Any, Any]


ModuleUpdate: TypeAlias = Callable[[ModuleToUpdate], None]
"""An update of a module, in place."""


def on_module(update: ModuleUpdate, name: str | None = None, *, networks: str = "chains") -> ModuleContestant:
    """An update of PyTorch modules, for `audit`.

    Parameters
    ----------
    update : changes the parameters of the module that it is given
    name : as shown; None for the function's own
    networks : 'chains', of layers that are applied once each; or 'all', recurrent ones besides

    Examples
    --------
    >>> def gradient_descent(it):
    ...     it.loss(it.module(it.inputs), it.targets).backward()
    ...     for parameter in it.module.parameters():
    ...         parameter.data -= it.rate * parameter.grad
    ...         parameter.grad = None
    >>> report = audit(on_module(gradient_descent), groups=["activation orthogonal"])  # doctest: +SKIP
    """
    return ModuleContestant(update, name or named(update), networks)


@final
class ModuleContestant(Contestant):
    """An update of PyTorch modules."""

    scales = False
    squares = True

    def __init__(self, update: ModuleUpdate, name: str, networks: str = "chains") -> None:
        self._torch, self._update, self.name, self._networks = import_torch(), update, name, networks

    def unfit(self, storage: Storage) -> str:
        return "" if storage is PLAIN else "it sees a module, whose parameters have one layout"

    def run(self, twin: Twin, start: Arrays, *, rate: float, steps: int) -> list[list[tuple[Any, Any]]]:
        if twin.storage is not PLAIN or twin.loss_scale != 1:
            raise UnauditableError(f"{self.name} updates a module, with a loss of PyTorch's: neither has another form.")
        network = twin.problem.network
        if self._networks == "chains" and isinstance(network, RecurrentNetwork):
            raise UnauditableError(f"{self.name} is for modules whose layers are applied once; a recurrent one is not.")
        torch = self._torch
        module = _with_outputs_of_iota(torch, to_module(network, twin.point(start), twin.kappa), twin)
        inputs, targets, loss = self._data(twin)
        state: dict[Any, Any] = {}
        found = []
        # Some draw numbers: all runs draw the same.  What a library makes must not round more than its parameters do.
        with self.errors_named(), surrounded(torch, inputs.dtype):
            for step in range(steps):
                self._update(ModuleToUpdate(module, inputs, targets, loss, rate, step, state))
                found.append(_arrays_of(module, twin))
        return found

    def _data(self, twin: Twin) -> tuple[Any, Any, Any]:
        recurrent, loss = isinstance(twin.problem.network, RecurrentNetwork), twin.problem.family.pytorch
        if loss is None:
            raise UnauditableError(f"{self.name} takes a loss of PyTorch's, which {twin.problem.family!r} has not.")
        points = np.moveaxis(twin.inputs, -1, 1) if twin.inputs.ndim > 2 and not recurrent else twin.inputs
        inputs, targets = (self._torch.from_numpy(np.array(part)) for part in (points, twin.targets))
        made = getattr(self._torch.nn, loss.module)(**loss.settings)
        return inputs, targets if loss.labels else targets.to(inputs.dtype), made


def _with_outputs_of_iota(torch: Any, module: Any, twin: Twin) -> Any:
    """The module, with outputs in the problem's own frame."""
    from geomkfac.interop.pytorch.fixed_layers import FixedAffine

    outputs = twin.problem.network.outputs
    if twin.kappa.base_frame(outputs) is twin.problem.iota.base_frame(outputs):
        return module
    return torch.nn.Sequential(module, FixedAffine(*map(torch.from_numpy, twin.into_problem(outputs))))


def _arrays_of(module: Any, twin: Twin) -> list[tuple[Any, Any]]:
    """Weights and biases again: `to_module` keeps the order and the shapes of the network's arrays."""
    parts = [parameter.detach().numpy().copy() for parameter in module.parameters()]
    pairs = list(zip(parts[::2], parts[1::2], strict=True))
    return [
        (W.reshape(like_W.shape), b.reshape(like_b.shape))
        for (W, b), (like_W, like_b) in zip(pairs, twin.start, strict=True)
    ]
