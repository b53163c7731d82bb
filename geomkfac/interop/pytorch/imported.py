"""A PyTorch module as an abstract network with its weights, and the way back to the names of its state dict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from geomkfac.errors import UnknownNameError
from geomkfac.interop.libraries.column_orders import channel_major
from geomkfac.interop.pytorch.support import pytorch, tensor_of
from geomkfac.metrics.tensors.direct_sum import DirectSumTensor
from geomkfac.networks.convolution import ConvolutionalNetwork
from geomkfac.networks.mlp import MLP
from geomkfac.networks.recurrent import RecurrentNetwork
from geomkfac.spaces import Parameterization, Point, PowerSpace, Sample, Vector
from geomkfac.spaces.samples.targets import map_targets

Network = MLP | ConvolutionalNetwork | RecurrentNetwork


@final
@dataclass(frozen=True, slots=True, eq=False)
class ImportedModule:
    """The network that a PyTorch module computes.

    Attributes
    ----------
    network : abstract network; no weights
    weights : Point of its weight space: what the module's parameters were, copied
    iota : Parameterization, the frames in which the module's parameters are coordinates
    entries : (name of the weight, name of the bias) in the state dict, one pair for each of `network.to_arrays`
    layers : names, one for each of `network.layers`: of the module, with [k] for group k of a convolution, and
        .hh, .ih for the two maps of a recurrence
    library : 'torch' or 'numpy', the arrays in which weights and samples are kept
    """

    network: Network
    weights: Point
    iota: Parameterization
    entries: tuple[tuple[str, str], ...]
    layers: tuple[str, ...]
    library: str
    _like: Any
    _flattened: bool
    _time_first: bool

    def sample(self, X: Any, y: Any = None, parameterization: Parameterization | None = None) -> Sample:
        """Data as the module takes them, as a sample.

        Parameters
        ----------
        X : tensor, (N, n), (N, channels, *grid) or (N, T, n), as the module takes it; coordinates in iota
        y : targets, a tuple or dict for families side by side; with an output at every place (N, *places) labels, or
            values laid out as the outputs are
        parameterization : the frames that X is in; None for iota
        """
        inside = self._inside(X)
        own = map_targets(lambda part: self._targets(self._own(part)), y)
        return (self.iota if parameterization is None else parameterization).sample(inside, own)

    def state_dict(self, element: Point | Vector, parameterization: Parameterization | None = None) -> dict[str, Any]:
        """Weights in the layout of the module's state dict: names, shapes, dtype and device.

        Parameters
        ----------
        element : Point of the weight space; or a step, a vector of its direction; or a differential, a covector
        parameterization : the frames of the coordinates; None for iota, in which the module computes

        Returns
        -------
        dict of tensors, copies.  A differential in iota is what autograd leaves in ``.grad``.
        """
        torch = pytorch("state_dict")
        arrays = self.network.to_arrays(element, self.iota if parameterization is None else parameterization)
        return {
            name: tensor_of(torch, array).to(dtype=self._like.dtype, device=self._like.device)
            for names, pair in zip(self.entries, arrays, strict=True)
            for name, array in zip(names, pair, strict=True)
        }

    def point(self, state: Mapping[str, Any], parameterization: Parameterization | None = None) -> Point:
        """The weights that a state dict holds, such as those of the module after a step; copied.

        Parameters
        ----------
        state : tensors by name; others than the module's are left alone
        parameterization : the frames of the coordinates; None for iota
        """
        missing = [name for names in self.entries for name in names if name not in state]
        if missing:
            raise UnknownNameError(
                f"the state dict lacks {', '.join(missing)}.\n  required: {self.entries}\n  came    : {sorted(state)}"
            )
        Ws, bs = ([self._own(state[names[k]]) for names in self.entries] for k in (0, 1))
        return self.network.weights_from_arrays(Ws, bs, self.iota if parameterization is None else parameterization)

    def factors(
        self, metric: DirectSumTensor, parameterization: Parameterization | None = None
    ) -> dict[str, tuple[Any, Any]]:
        """``{layer: (A, G)}``, the factors of a K-FAC metric in PyTorch's order.

        A has the homogeneous coordinate last, and the coordinates of a patch, or of a map that was flattened, channel
        by channel: columns as in ``weight.flatten(1)``.  A (x) G acts on (W b) with columns stacked; its scale is
        A[-1, -1] = 1, with G the mean over data of sums over places.

        Parameters
        ----------
        metric : such as ``network.kfac_metric(...)``
        parameterization : the frames; None for iota
        """
        blocks = metric.coordinates(self.iota if parameterization is None else parameterization).blocks
        found = {}
        for name, layer, block in zip(self.layers, self.network.layers, blocks, strict=True):
            A, G = block.factors
            domain = layer.domain
            found[name] = (channel_major(A, domain.places) if isinstance(domain, PowerSpace) else A, G)
        return found

    def _own(self, array: Any) -> Any:
        """An array of this library: of tensors, detached."""
        if hasattr(array, "detach"):
            array = array.detach()
            return array.cpu().numpy() if self.library == "numpy" else array
        return array

    def _targets(self, y: Any) -> Any:
        places = len(self.network.output_places)
        if not places:
            return y
        if isinstance(self.network, RecurrentNetwork):
            return _swapped(y) if self._time_first else y
        return _moved(y) if y.ndim == 2 + places else y

    def _inside(self, X: Any) -> Any:
        X = self._own(X)
        if self._flattened:
            return X.reshape(X.shape[0], -1)
        if self._time_first:
            return _swapped(X)
        return X if isinstance(self.network, MLP | RecurrentNetwork) else _moved(X)


def _moved(array: Any) -> Any:
    """(N, channels, *grid) as (N, *grid, channels)."""
    if array.ndim <= 2:
        return array
    axes = (0, *range(2, array.ndim), 1)
    return array.permute(axes).contiguous() if hasattr(array, "permute") else array.transpose(axes).copy()


def _swapped(array: Any) -> Any:
    """(T, N, ...) as (N, T, ...)."""
    return array.swapaxes(0, 1).contiguous() if hasattr(array, "contiguous") else array.swapaxes(0, 1).copy()
