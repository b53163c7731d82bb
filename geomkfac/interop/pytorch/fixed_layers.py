"""PyTorch modules without parameters of their own: fixed affine maps, borders, polynomials; and a recurrence.

Imported only where PyTorch is used; a machine without it can import this file, and make none of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, final

try:
    torch: Any = import_module("torch")
    Module: Any = torch.nn.Module
except ImportError:
    torch, Module = None, object


@final
class FixedAffine(Module):  # type: ignore[misc]
    """``y = B x + c`` along axis 1, at every place: a change of frames, with no parameter.

    Parameters
    ----------
    matrix : tensor, shape (n, n), or None for the identity
    translation : tensor, shape (n,), or None for zero
    """

    def __init__(self, matrix: Any, translation: Any) -> None:
        super().__init__()
        self.register_buffer("matrix", matrix)
        self.register_buffer("translation", translation)

    def forward(self, x: Any) -> Any:
        """(N, n, *grid) to the same shape."""
        if self.matrix is not None:
            if x.ndim == 2:
                return torch.nn.functional.linear(x, self.matrix, self.translation)
            x = torch.matmul(self.matrix, x.flatten(2)).reshape(x.shape)
        if self.translation is not None:
            x = x + self.translation.reshape(-1, *(1,) * (x.ndim - 2))
        return x


@final
class FixedBorder(Module):  # type: ignore[misc]
    """A border whose every place holds one point.

    Parameters
    ----------
    point : tensor, shape (n,)
    grid : lengths of the axes, without the border
    widths : (before, after) for every axis
    """

    def __init__(self, point: Any, grid: Sequence[int], widths: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self._widths = tuple(width for pair in reversed(widths) for width in pair)
        outside = torch.nn.functional.pad(torch.zeros(tuple(grid), dtype=point.dtype), self._widths, value=1.0)
        self.register_buffer("border", point.reshape(-1, *(1,) * len(grid)) * outside.to(point.device))

    def forward(self, x: Any) -> Any:
        """(N, n, *grid) to (N, n, *padded)."""
        # Inside zeros are added, outside to zeros: no entry is rounded.
        return torch.nn.functional.pad(x, self._widths) + self.border


@final
class FixedPolynomial(Module):  # type: ignore[misc]
    """``c_0 + c_1 x + c_2 x^2 + ...``, entry by entry.

    Parameters
    ----------
    coefficients : floats, ascending
    """

    def __init__(self, coefficients: Sequence[float]) -> None:
        super().__init__()
        self.coefficients = tuple(coefficients)

    def forward(self, x: Any) -> Any:
        """Of the shape of `x`, by Horner's rule."""
        value = torch.full_like(x, self.coefficients[-1])
        for c in self.coefficients[-2::-1]:
            value = value * x + c
        return value


@final
class InitialState(Module):  # type: ignore[misc]
    """The state before the first step: a buffer, or a parameter.

    Parameters
    ----------
    state : tensor, shape (h,)
    learned : whether it is a parameter
    """

    def __init__(self, state: Any, *, learned: bool) -> None:
        super().__init__()
        if learned:
            self.state = torch.nn.Parameter(state)
        else:
            self.register_buffer("state", state)

    def forward(self, count: int) -> Any:
        """(count, h)."""
        return self.state.expand(count, -1)


@final
class Recurrence(Module):  # type: ignore[misc]
    """A recurrence of Linear layers: ``a_t = activation(recurrent(a_{t-1}) + driving(x_t))``, then ``reading(a_t)``.

    `recurrent` is applied step by step, `driving` to all steps at once, and `reading` to all states or to the last.

    Parameters
    ----------
    recurrent, driving, reading : nn.Linear (h to h, n to h, h to m)
    activation : Module of one state (N, h), with the fixed maps around it
    start : InitialState
    at : outputs at 'every' step, or after the 'last'
    """

    def __init__(self, recurrent: Any, driving: Any, reading: Any, activation: Any, start: Any, at: str) -> None:
        super().__init__()
        self.recurrent, self.driving, self.reading = recurrent, driving, reading
        self.activation, self.start, self.at = activation, start, at

    def forward(self, x: Any) -> Any:
        """(N, T, n) to (N, T, m), or to (N, m)."""
        driven, state, states = self.driving(x), self.start(x.shape[0]), []
        for t in range(x.shape[1]):
            state = self.activation(self.recurrent(state) + driven[:, t])
            states.append(state)
        return self.reading(state if self.at == "last" else torch.stack(states, dim=1))
