"""From a chain of operations to an architecture: stages, arrays of weights, and the names that these go by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from geomkfac.interop.pytorch import activations as torch_activations
from geomkfac.interop.pytorch import stage_layers as torch_stages
from geomkfac.interop.pytorch.chain import Link
from geomkfac.interop.pytorch.support import refusal
from geomkfac.networks.building.architecture import AveragePooling, Dense

RESHAPES = {"flatten", "view", "reshape", "squeeze", "contiguous"}


@final
@dataclass(frozen=True, slots=True)
class Reading:
    """A feed-forward network, before there are spaces.

    Attributes
    ----------
    grid, channels : of its inputs
    flattened : whether pictures are flattened before anything else
    stages : architecture
    layers : (qualified name, module), one for every stage with weights
    """

    grid: tuple[int, ...]
    channels: int
    flattened: bool
    stages: tuple[Any, ...]
    layers: tuple[tuple[str, Any], ...]


@final
@dataclass(frozen=True, slots=True)
class Recurrent:
    """A recurrence and the layer that reads it.

    Attributes
    ----------
    rnn, linear : (qualified name, module)
    at : 'every' or 'last'
    steps : length of the example
    batch_first : whether data stand before time
    suffix : at the end of the names of the recurrence's parameters
    """

    rnn: tuple[str, Any]
    linear: tuple[str, Any]
    at: Any
    steps: int
    batch_first: bool
    suffix: str


def read_chain(links: Sequence[Link], shape: tuple[int, ...]) -> Reading:
    """A chain without recurrence as a reading.

    Parameters
    ----------
    shape : of the example, (N, channels, *grid) or (N, n)
    """
    reader = _Reader(shape)
    for link in links:
        reader.take(link)
    return reader.reading(links[-1])


@final
class _Reader:
    """Stage after stage.  `_grid` is that of the values, which may stand flattened."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._channels, self._grid = shape[1], shape[2:]
        self._inputs, self._flattened, self._flat_first = (shape[2:], shape[1]), False, False
        self._stages: list[Any] = []
        self._layers: list[tuple[str, Any]] = []
        self._pending: tuple[Any, Any] | None = None
        # Whether the last stage is a mean over a whole map.
        self._whole = False

    def take(self, link: Link) -> None:
        """One operation more."""
        part = torch_stages.as_module(link)
        kind = type(part).__name__
        if self._pending is not None and not kind.startswith("Conv"):
            raise refusal(link.name, link.operation, "a padding must stand directly before a convolution")
        if kind == "Flatten" or link.operation in RESHAPES:
            self._reshape(link)
        elif link.operation == "mean":
            self._mean(link)
        elif part is None:
            raise refusal(link.name, link.operation, "there is no stage of a network for this function")
        elif torch_stages.is_nothing(part):
            return
        elif kind == "Linear":
            self._dense(link.name, part, link)
        elif kind in torch_stages.LAYERS:
            self._convolution(link, part)
        else:
            self._other(link, part)

    def _other(self, link: Link, part: Any) -> None:
        padding = torch_stages.padding_of(part, self._channels)
        if padding is not None:
            self._need_map(link.name, part)
            self._pending = padding
            return
        stage: Any = torch_activations.activation_of(link.name, part)
        if stage is None:
            self._need_map(link.name, part)
            stage = torch_stages.pooling_of(link.name, part, self._grid)
            if stage is None:
                raise refusal(link.name, part, "it stands where a network has no place for it")
            self._whole = isinstance(stage, AveragePooling) and stage.window == self._grid
            self._grid = link.after[2:]
        else:
            self._whole = False
        self._stages.append(stage)

    def _need_map(self, name: str, part: Any) -> None:
        if self._flattened or not self._grid:
            raise refusal(name, part, "it needs maps (N, channels, *grid), and here one axis is left")

    # -- shapes ------------------------------------------------------------------------------------------
    def _reshape(self, link: Link) -> None:
        if link.after == link.before:
            return
        count = math.prod(link.before[1:])
        if link.after != (link.before[0], count):
            raise refusal(
                link.name, link.operation, f"of {link.before} it makes {link.after}, and a network can only flatten "
                "all axes but the first"
            )  # fmt: skip
        if not self._stages:
            self._inputs, self._flat_first = ((), count), True
            self._channels, self._grid = count, ()
        elif math.prod(self._grid) == 1:
            self._collapse()
        else:
            self._flattened = True

    def _mean(self, link: Link) -> None:
        dims = link.keywords.get("dim", link.arguments[0] if link.arguments else None)
        rank = len(link.before)
        axes = sorted(axis % rank for axis in (dims if isinstance(dims, tuple) else (dims,)) if axis is not None)
        if self._flattened or not self._grid or axes != list(range(2, rank)) or len(link.after) not in (2, rank):
            raise refusal(link.name, link.operation, "a network takes means over all places of a map, and no other")
        self._stages.append(AveragePooling(self._grid))
        self._whole = True
        self._grid = (1,) * len(self._grid)
        if len(link.after) == 2:
            self._collapse()

    def _collapse(self) -> None:
        """The one place that is left as no grid."""
        if self._whole:
            self._stages[-1] = AveragePooling()
        else:
            self._stages.append(AveragePooling())
        self._grid = ()

    # -- layers ------------------------------------------------------------------------------------------
    def _dense(self, name: str, part: Any, link: Link) -> None:
        if self._grid and not self._flattened:
            raise refusal(
                name, part, f"it acts on the last axis of {link.before} alone", "Put nn.Flatten() before it, or take "
                "a convolution with a kernel of length 1 for one map at every place."
            )  # fmt: skip
        self._stages.append(Dense(part.out_features))
        self._layers.append((name, part))
        self._grid, self._flattened, self._channels = (), False, part.out_features

    def _convolution(self, link: Link, part: Any) -> None:
        self._need_map(link.name, part)
        self._stages.append(torch_stages.convolution_of(link.name, part, self._pending))
        self._layers.append((link.name, part))
        self._pending, self._whole = None, False
        self._channels, self._grid = part.out_channels, link.after[2:]

    def reading(self, last: Link) -> Reading:
        """What has been read."""
        if self._pending is not None:
            raise refusal(last.name, last.operation, "a padding must stand directly before a convolution")
        if self._flattened:
            raise refusal(
                last.name, last.operation, "the module ends in flattened maps; a network ends in maps, or in a layer",
                "Leave the flattening out: targets then have a value at every place.",
            )  # fmt: skip
        grid, channels = self._inputs
        return Reading(grid, channels, self._flat_first, tuple(self._stages), tuple(self._layers))


# -- recurrences -------------------------------------------------------------------------------------------
def read_recurrence(links: Sequence[Link]) -> Recurrent | None:
    """A chain that begins with nn.RNN as a recurrence; None of a chain without one."""
    links = [link for link in links if isinstance(link.operation, str) or not torch_stages.is_nothing(link.operation)]
    first = next((link for link in links if type(link.operation).__name__ == "RNN"), None)
    if first is None:
        return None
    if links[0] is not first:
        raise refusal(
            links[0].name, links[0].operation, "it stands before a recurrence, which takes the inputs themselves"
        )
    rnn = first.operation
    _check_rnn(first, rnn)
    at, rest = _what_is_read(first, rnn, links[1:])
    if len(rest) != 1 or type(rest[0].operation).__name__ != "Linear":
        last = rest[1] if len(rest) > 1 else (rest[0] if rest else first)
        raise refusal(last.name, last.operation, "a recurrence is followed by one Linear layer, and nothing else")
    steps = first.before[1 if rnn.batch_first else 0]
    return Recurrent((first.name, rnn), (rest[0].name, rest[0].operation), at, steps, rnn.batch_first, "_l0")


def _check_rnn(link: Link, rnn: Any) -> None:
    for option, plain in (("num_layers", 1), ("bidirectional", False), ("bias", True), ("proj_size", 0)):
        if getattr(rnn, option) != plain:
            raise refusal(link.name, rnn, f"{option}={getattr(rnn, option)}; a recurrence here has {option}={plain}")
    state = [*link.arguments, *link.keywords.values()]
    if any(part is not None and part != "zeros" for part in state):
        raise refusal(link.name, rnn, "its initial state is computed; here it is zeros", "Leave it out.")
    if len(link.before) != 3:
        raise refusal(link.name, rnn, f"it takes batches of sequences, with three axes, and {link.before} came")


def _what_is_read(first: Link, rnn: Any, rest: Sequence[Link]) -> tuple[str, Sequence[Link]]:
    """Whether all states are read, or the last; and the links that follow."""
    if not rest or rest[0].operation != "getitem":
        raise refusal(first.name, rnn, "it gives a pair (states, last state), of which one is read by a Linear layer")
    index = rest[0].arguments[0]
    follows, rest = rest[1:], rest[1:]
    if index == 0:
        if not follows or follows[0].operation != "getitem":
            return "every", rest
        where = follows[0].arguments[0]
        where = where if isinstance(where, tuple) else (where,)
        everything = slice(None, None, None)
        while len(where) > 1 and where[-1] == everything:
            where = where[:-1]
        wanted: tuple[Any, ...] = (everything, -1) if rnn.batch_first else (-1,)
        if where != wanted:
            raise refusal(follows[0].name, "indexing", f"of all states the last is read, {wanted}, and {where} came")
        return "last", rest[1:]
    taken = bool(follows) and (
        (follows[0].operation == "getitem" and follows[0].arguments[0] in (0, -1))
        or (follows[0].operation == "squeeze" and follows[0].arguments[:1] == (0,))
    )
    if index not in (1, -1) or not taken:
        raise refusal(
            first.name, rnn, "of its last state, (1, N, h), the one layer must be taken: h[-1] or h.squeeze(0)"
        )
    return "last", rest[1:]
