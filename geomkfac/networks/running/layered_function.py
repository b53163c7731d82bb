"""What a sum over data needs of a network, or of anything else that is made of layers with weights."""

from __future__ import annotations

from abc import ABC, abstractmethod

from geomkfac.maps.affine import AffineMaps
from geomkfac.networks.passes.chain_pass import Pass
from geomkfac.networks.passes.layers import Layer
from geomkfac.networks.running.memory_limit import Demand
from geomkfac.spaces import AffineSpace, Chunk

ENTRIES_PER_CHUNK = 1 << 22
"""How many numbers the largest array of one chunk may hold, unless a chunk size is given."""


class LayeredFunction(ABC):
    """A function of data that is made of layers with weights: how a chunk passes through, and what memory that takes.

    Attributes
    ----------
    layers : AffineMaps, one per affine map
    outputs : AffineSpace of a single output
    """

    __slots__ = ()

    layers: tuple[AffineMaps, ...]
    outputs: AffineSpace

    @property
    @abstractmethod
    def output_layer(self) -> int | None:
        """Index of the layer whose pre-activations are the outputs, up to affine combinations."""

    @abstractmethod
    def _pass_of(self, layers: tuple[Layer, ...], chunk: Chunk) -> Pass:
        """The pass of a chunk at the weights of `layers`."""

    @property
    @abstractmethod
    def _widest(self) -> int:
        """The largest number of numbers that one datum has at a time."""

    def _chunk_size(self, covectors: int) -> int:
        """How many data are taken at a time, where each has this many covectors on the outputs."""
        # Many arrays of a pass are kept, and covectors are pulled back a few at a time.
        return max(1, ENTRIES_PER_CHUNK // (2 * self._widest))

    def _at_once(self, count: int) -> int:
        """How many covectors are pulled back together, for `count` data."""
        return max(1, ENTRIES_PER_CHUNK // max(1, count * self._widest))

    @abstractmethod
    def _demand(self, covectors: int, lifted: bool, itemsize: int) -> Demand:
        """What a pass needs in memory; `lifted` where covectors at single places become covectors on all places."""

    def _entries_of_sums(self, itemsize: int) -> int:
        """Numbers of so many bytes in all factors, and once more in the largest, which is added to its sum.

        In single precision sums are of double, and at the end the factors stand beside them.
        """
        sides = [side for layer in self.layers for side in (layer.domain.dim + 1, layer.codomain.dim)]
        copies = 1 if itemsize == 8 else 3
        return copies * sum(side * side for side in sides) + max(side * side for side in sides)

    @property
    def _facts(self) -> dict[str, str]:
        """What tells it from others, beside the weights of its layers: words by what they say."""
        return {"network": repr(self)}
