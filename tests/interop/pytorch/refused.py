"""Modules that are refused, for the tests of refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .drawn import nn, torch


class Own(nn.Module):  # type: ignore[misc]
    """Parts by name, and a forward pass that is given."""

    def __init__(self, forward: Callable[[Any, Any], Any], **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self._forward = forward

    def forward(self, x: Any) -> Any:
        return self._forward(self, x)


def tied() -> Any:
    module = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2))
    module[2].weight = module[0].weight
    return module


def hooked() -> Any:
    module = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    module[0].register_forward_hook(lambda *call: 2 * call[2])
    return module


def mixed() -> Any:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[1].double()
    return module


def trained(part: Any) -> Any:
    return nn.Sequential(nn.Linear(2, 2), part).train()


def twice(m: Any, x: Any) -> Any:
    return m.first(torch.tanh(m.first(x)))
