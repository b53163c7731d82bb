"""The K-FAC metric of some layers of a PyTorch module, in PyTorch's names and layout."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from geomkfac.errors import ShapeError, UnknownNameError
from geomkfac.interop.libraries.column_orders import channel_major
from geomkfac.interop.pytorch.support import pytorch
from geomkfac.metrics.tensors.direct_sum import DirectSumTensor
from geomkfac.spaces import Parameterization, Vector


@final
@dataclass(frozen=True, slots=True, eq=False)
class LayerPart:
    """A layer of a module, or one group of channels of it.

    Attributes
    ----------
    layer : qualified name of the nn.Linear or nn.ConvNd
    group, groups : which of its groups of channels, and how many there are
    shape : of this part's weight, (m, J) or (m, J, *kernel)
    biased : whether it has a bias; without one it is a linear map, and A has no homogeneous coordinate
    """

    layer: str
    group: int
    groups: int
    shape: tuple[int, ...]
    biased: bool

    @property
    def name(self) -> str:
        """The layer's name, with [k] for group k of several."""
        return self.layer if self.groups == 1 else f"{self.layer}[{self.group}]"

    @property
    def entries(self) -> tuple[str, ...]:
        """The names of weight, and bias where there is one, in the state dict."""
        prefix = f"{self.layer}." if self.layer else ""
        return (f"{prefix}weight", f"{prefix}bias")[: 1 + self.biased]

    @property
    def offsets(self) -> int:
        """The number of offsets of the kernel; 1 of a Linear layer."""
        return math.prod(self.shape[2:])

    def rows(self, torch: Any, tensors: Mapping[str, Any]) -> Any:
        """(W b) of this part, offset by offset: (m, n + 1), or (m, n) without a bias."""
        m, own = self.shape[0], slice(self.group * self.shape[0], (self.group + 1) * self.shape[0])
        W, *bias = (tensors[name].detach() for name in self.entries)
        if tuple(W.shape) != (m * self.groups, *self.shape[1:]):
            required = (m * self.groups, *self.shape[1:])
            raise ShapeError(f"{self.entries[0]!r} has shape {required}, not {tuple(W.shape)}.")
        flat = W[own].movedim(1, -1).reshape(m, -1)
        return torch.cat([flat, bias[0][own, None]], dim=1) if bias else flat.clone()

    def tensors(self, rows: Any) -> tuple[Any, ...]:
        """The inverse of `rows`: weight and bias of this part."""
        m, J, *kernel = self.shape
        W = rows[:, : J * self.offsets].reshape(m, *kernel, J).movedim(-1, 1).contiguous()
        return (W, rows[:, -1].clone()) if self.biased else (W,)


@final
@dataclass(frozen=True, slots=True, eq=False)
class ModuleMetric:
    """A K-FAC metric of layers of a module, with spaces and frames made for them.

    Attributes
    ----------
    metric : direct sum of tensor products, one for each of `parts`; on Hom(Hull(A), TZ), A and Z new affine spaces,
        of a layer without bias on Hom(V, TZ), V a vector space
    iota : Parameterization, the frames in which the module's parameters are coordinates; `iota.change`,
        `iota.random` and `iota.whitened(metric)` give others (the last where all layers have biases)
    parts : LayerPart, a layer or a group of one
    left_out : names of the module's parameters that the metric says nothing of
    """

    metric: DirectSumTensor
    iota: Parameterization
    parts: tuple[LayerPart, ...]
    left_out: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """One name for every part."""
        return tuple(part.name for part in self.parts)

    def factors(self, parameterization: Parameterization | None = None) -> dict[str, tuple[Any, Any]]:
        """``{name: (A, G)}`` in PyTorch's order: columns as in ``weight.flatten(1)``, homogeneous coordinate last.

        A[-1, -1] = 1 where there is one; see `ImportedModule.factors`.

        Parameters
        ----------
        parameterization : the frames; None for iota
        """
        found = {}
        blocks = self.metric.coordinates(self.iota if parameterization is None else parameterization).blocks
        for part, block in zip(self.parts, blocks, strict=True):
            A, G = block.factors
            found[part.name] = (_channel_major(part, A), G)
        return found

    def covector(self, gradients: Mapping[str, Any]) -> Vector:
        """The differential whose coordinates in iota are these tensors, such as ``p.grad`` by name.

        Parameters
        ----------
        gradients : tensors by the names of the state dict; others than those of `parts` are left alone
        """
        torch = pytorch("a metric of a module")
        missing = [name for part in self.parts for name in part.entries if gradients.get(name) is None]
        if missing:
            raise UnknownNameError(f"there is no gradient for {', '.join(missing)}.\n  came: {sorted(gradients)}")
        dual = self.metric.space.dual
        arrays = [part.rows(torch, gradients) for part in self.parts]
        made: Vector = dual.from_coordinates(arrays, self.iota[self.metric.space].dual)
        return made

    def state_dict(self, vector: Vector, parameterization: Parameterization | None = None) -> dict[str, Any]:
        """A step, or a differential, as tensors by the names of the state dict.

        Parameters
        ----------
        vector : of ``metric.space``, such as ``metric.damped(...).sharp(dh)``, or of its dual
        parameterization : the frames of the coordinates; None for iota
        """
        torch = pytorch("a metric of a module")
        components = vector.coordinates(self.iota if parameterization is None else parameterization)
        collected: dict[str, list[Any]] = {}
        for part, rows in zip(self.parts, components, strict=True):
            for name, tensor in zip(part.entries, part.tensors(rows), strict=True):
                collected.setdefault(name, []).append(tensor)
        return {name: torch.cat(tensors) for name, tensors in collected.items()}


def _channel_major(part: LayerPart, A: Any) -> Any:
    if part.biased:
        return channel_major(A, part.offsets)
    K, J = part.offsets, part.shape[1]
    order = [k * J + j for j in range(J) for k in range(K)]
    return A[order][:, order]
