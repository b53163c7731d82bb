"""How weights lie in the parameters that an optimizer sees."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeAlias, final

import numpy as np

Arrays: TypeAlias = Sequence[tuple[Any, Any]]
"""``[(W_1, b_1), ...]``, NumPy arrays."""


class Storage(ABC):
    """A layout.

    Attributes
    ----------
    name : as shown
    curved : whether parameters are a nonlinear function of the weights
    """

    name: str
    curved: bool = False

    @abstractmethod
    def parameters(self, arrays: Arrays) -> list[Any]:
        """The parameters of weights: new arrays."""

    @abstractmethod
    def arrays(self, parameters: Sequence[Any], like: Arrays) -> list[tuple[Any, Any]]:
        """The weights again, in the shapes of `like`."""

    def derivatives(self, derivatives: Arrays, parameters: Sequence[Any]) -> list[Any]:
        """Derivatives by the parameters, from those by the weights."""
        return self.parameters(derivatives)


@final
class _Plain(Storage):
    """W and b of every layer."""

    name = "weights and biases"

    def parameters(self, arrays: Arrays) -> list[Any]:
        return [np.array(part) for pair in arrays for part in pair]

    def arrays(self, parameters: Sequence[Any], like: Arrays) -> list[tuple[Any, Any]]:
        return list(zip(parameters[::2], parameters[1::2], strict=True))


@final
class _Reversed(Storage):
    """Last layer first, and biases before weights."""

    name = "order of parameters"

    def parameters(self, arrays: Arrays) -> list[Any]:
        return PLAIN.parameters(arrays)[::-1]

    def arrays(self, parameters: Sequence[Any], like: Arrays) -> list[tuple[Any, Any]]:
        return PLAIN.arrays(parameters[::-1], like)


@final
class _Transposed(Storage):
    """W with its axes reversed: inputs first."""

    name = "transposed weights"

    def parameters(self, arrays: Arrays) -> list[Any]:
        return [part for W, b in arrays for part in (np.ascontiguousarray(W.T), np.array(b))]

    def arrays(self, parameters: Sequence[Any], like: Arrays) -> list[tuple[Any, Any]]:
        return [(W.T, b) for W, b in PLAIN.arrays(parameters, like)]


@final
class _Joint(Storage):
    """One matrix (W b) for every layer, (m, n + 1)."""

    name = "joint bias"

    def parameters(self, arrays: Arrays) -> list[Any]:
        return [np.column_stack([W.reshape(len(b), -1), b]) for W, b in arrays]

    def arrays(self, parameters: Sequence[Any], like: Arrays) -> list[tuple[Any, Any]]:
        return [(P[:, :-1].reshape(W.shape), P[:, -1]) for P, (W, _) in zip(parameters, like, strict=True)]


@final
class _Flat(Storage):
    """One vector of everything."""

    name = "one flat vector"

    def parameters(self, arrays: Arrays) -> list[Any]:
        return [np.concatenate([part.ravel() for part in PLAIN.parameters(arrays)])]

    def arrays(self, parameters: Sequence[Any], like: Arrays) -> list[tuple[Any, Any]]:
        (vector,), parts, start = parameters, [], 0
        for shape in (part.shape for pair in like for part in pair):
            stop = start + math.prod(shape)
            parts.append(vector[start:stop].reshape(shape))
            start = stop
        return PLAIN.arrays(parts, like)


@final
class _Curved(Storage):
    """Parameters v with ``w = sinh(v)``, entry by entry: smooth, invertible, and not affine."""

    name = "nonlinear"
    curved = True

    def parameters(self, arrays: Arrays) -> list[Any]:
        return [np.arcsinh(part) for part in PLAIN.parameters(arrays)]

    def arrays(self, parameters: Sequence[Any], like: Arrays) -> list[tuple[Any, Any]]:
        return PLAIN.arrays([np.sinh(part) for part in parameters], like)

    def derivatives(self, derivatives: Arrays, parameters: Sequence[Any]) -> list[Any]:
        plain = PLAIN.parameters(derivatives)
        return [np.cosh(v) * part for v, part in zip(parameters, plain, strict=True)]


PLAIN: Storage = _Plain()
"""W and b of every layer, as `torch.nn.Linear` has them."""

STORAGES: tuple[Storage, ...] = (_Reversed(), _Transposed(), _Joint(), _Flat(), _Curved())
"""Other layouts."""
