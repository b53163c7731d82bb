"""The loss of a twin as a PyTorch function of its parameters: first derivatives from the twin, second ones exact.

The twin's own code computes the derivatives.  Where an optimizer differentiates them once more (Hutchinson's
estimate, a Hessian-vector product), the same code runs on PyTorch arrays, and autograd goes through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, final

import numpy as np

from geomkfac.arrays import recording_gradients
from geomkfac.audit.twins.twin import Twin


@final
class TwinLoss:
    """The mean loss of a twin's data, times its scale, as a function of parameters in its layout, on a device.

    The twin computes on the host, where its small arrays are.

    Attributes
    ----------
    calls, second : how often the loss, and products with the Hessian, were asked for
    """

    def __init__(self, torch: Any, twin: Twin, device: str = "cpu") -> None:
        self.torch, self.twin, self.storage, self.device = torch, twin, twin.storage, device
        self.calls = self.second = 0
        self._sample: Any = None

    def __call__(self, parameters: Sequence[Any]) -> Any:
        """The loss, a scalar tensor that can be differentiated twice."""
        self.calls += 1
        return _functions(self.torch)[0].apply(self, *parameters)

    def weights(self, parameters: Sequence[Any]) -> list[tuple[Any, Any]]:
        """``[(W, b), ...]`` of parameters: views of their numbers where the layout allows."""
        return self.storage.arrays([self._numbers(one) for one in parameters], self.twin.start)

    def tensor(self, part: Any) -> Any:
        """A tensor of the parameters' device, of the numbers of an array."""
        return self.torch.from_numpy(part).to(self.device)

    @staticmethod
    def _numbers(tensor: Any) -> Any:
        return tensor.detach().cpu().numpy()

    def _first(self, parameters: Sequence[Any]) -> tuple[float, list[Any]]:
        """The loss, and its derivatives by the parameters."""
        raw = [self._numbers(one) for one in parameters]
        loss, by_weights = self.twin.loss_and_derivatives(self.storage.arrays(raw, self.twin.start))
        by_parameters = self.storage.derivatives(by_weights, raw)
        return loss, [self.tensor(np.ascontiguousarray(part, dtype=self.twin.dtype)) for part in by_parameters]

    def _product(self, parameters: Sequence[Any], vectors: Sequence[Any]) -> list[Any]:
        """The Hessian by the parameters, times vectors laid out as these."""
        self.second += 1
        torch, twin, problem = self.torch, self.twin, self.twin.problem
        if self._sample is None:
            self._sample = twin.kappa.sample(torch.from_numpy(twin.inputs), torch.from_numpy(twin.targets))
        with torch.enable_grad(), recording_gradients():
            arrays = [tuple(_leaf(torch, part) for part in pair) for pair in self.weights(parameters)]
            network: Any = problem.network
            point = network.weights_from_arrays([W for W, _ in arrays], [b for _, b in arrays], twin.kappa)
            _, dh = network.loss_and_differential(point, self._sample, problem.output)
            first = [part for pair in network.to_arrays(dh, twin.kappa) for part in pair]
        directions = [part for pair in self.weights(vectors) for part in pair]
        leaves = [part for pair in arrays for part in pair]
        along = [torch.from_numpy(np.ascontiguousarray(part)) for part in directions]
        found = torch.autograd.grad(first, leaves, along, allow_unused=True, materialize_grads=True)
        numbers = [part.numpy() for part in found]
        laid = self.storage.parameters(list(zip(numbers[::2], numbers[1::2], strict=True)))
        return [self.tensor(np.ascontiguousarray(part * twin.loss_scale, dtype=twin.dtype)) for part in laid]


def _leaf(torch: Any, part: Any) -> Any:
    return torch.from_numpy(np.array(part)).requires_grad_()


@cache
def _functions(torch: Any) -> tuple[Any, Any]:
    """The loss, and its derivative, for autograd."""

    class Loss(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, of: TwinLoss, *parameters: Any) -> Any:
            loss, ctx.first = of._first(parameters)
            ctx.of = of
            ctx.save_for_backward(*parameters)
            return torch.tensor(loss, dtype=parameters[0].dtype, device=parameters[0].device)

        @staticmethod
        def backward(ctx: Any, factor: Any) -> Any:
            first = ctx.first
            if torch.is_grad_enabled():
                first = Derivative.apply(ctx.of, first, *ctx.saved_tensors)
            return None, *(part * factor for part in first)

    class Derivative(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, of: TwinLoss, first: Any, *parameters: Any) -> Any:
            ctx.of = of
            ctx.save_for_backward(*parameters)
            return tuple(first)

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator,unused-ignore]
        def backward(ctx: Any, *vectors: Any) -> Any:
            if ctx.of.storage.curved:
                raise NotImplementedError("derivatives of derivatives by a nonlinear function of the weights")
            return None, None, *ctx.of._product(ctx.saved_tensors, vectors)

    return Loss, Derivative
