"""A PyTorch optimizer of some project: gradient descent with the gradient of every parameter scaled to length one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class NormalizedDescent(torch.optim.Optimizer):
    """``w <- w - lr * g / |g|``, parameter by parameter.

    Parameters
    ----------
    params : parameters
    lr : the length of every step
    """

    def __init__(self, params: Iterable[torch.nn.Parameter], lr: float = 0.01) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One step; the closure, if there is one, computes the gradients again."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad / parameter.grad.norm(), alpha=group["lr"])
        return loss
