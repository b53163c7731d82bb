"""Convolutional networks without coordinates: one affine map, applied to every patch of a map.

Local activations are points of an affine space A, a whole map is a point of A^T, a patch one of A^Delta,
and the parameters of a layer are an affine map from A^Delta to Z, applied at every place.  Padding is a
point of A like any other, so a change of basis carries it along; "zeros" is that point only in the frame
in which it was named (erratum E3).  Source: LG 4.1.2, 4.3; GM 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from geomkfac.arrays import floating
from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Kind, Namespace
from geomkfac.counts import is_count
from geomkfac.errors import KindError, ShapeError
from geomkfac.maps import AffineMaps
from geomkfac.metrics.families.output_family import Fisher
from geomkfac.networks.assumptions import LayerAssumptions, Observed, joined, measured, observed
from geomkfac.networks.building.architecture import Architecture, architecture
from geomkfac.networks.building.builder import Builder, filled_in
from geomkfac.networks.feed_forward import FeedForward
from geomkfac.networks.passes.at_places import Output
from geomkfac.networks.passes.chain_pass import ChainPass
from geomkfac.networks.passes.stages import AffineStage
from geomkfac.networks.running.summing import at_once, summed
from geomkfac.networks.running.tasks import GatheringTask
from geomkfac.required import listed, shown
from geomkfac.spaces import Chunk, Parameterization, Point, Sample, Vector


@final
class ConvolutionalNetwork(FeedForward):
    """An abstract network on maps (signals, images, volumes): convolutions, pooling, activations, dense layers.

    Made by `from_shape` or `from_arrays`.  One datum is a point of ``PowerSpace(A0, grid)``: coordinates
    (*grid, channels).  Weights are one affine map for every stage that has some, or one for each group.

    Attributes
    ----------
    inputs : PowerSpace of whole maps
    outputs : AffineSpace; output families are placed on it
    output_places : () , or the grid of a network that ends in maps
    layers : AffineMaps(A^Delta, Z) of convolutions (coordinates offset by offset), AffineMaps(A^T, Z) of dense layers

    Examples
    --------
    >>> from geomkfac.networks.building.architecture import AveragePooling, Convolution, Dense
    >>> net, iota = ConvolutionalNetwork.from_shape(
    ...     (8, 8), 1, [Convolution(4, kernel=3, padding=1), "tanh", AveragePooling(2), Dense(10)]
    ... )
    >>> net
    ConvolutionalNetwork(8x8x1 -> 10, 2 layers over floating)

    Source: LG 4.1.2, 4.3.
    """

    __slots__ = ()

    @staticmethod
    def from_shape(
        grid: Sequence[int], channels: int, stages: Architecture | str, *, kind: Kind = floating
    ) -> tuple[ConvolutionalNetwork, Parameterization]:
        """A network on maps of this shape, and ``iota``, the frames in which its activations are coordinatewise.

        Parameters
        ----------
        grid : lengths of the spatial axes, such as (height, width)
        channels : of the input
        stages : `Convolution`, `Dense`, `AveragePooling`, `MaxPooling` and activations, in order; or a line of text

        Raises
        ------
        ShapeError, ValuesError, UnknownNameError
        """
        specs = architecture(stages) if isinstance(stages, str) else listed("the stages", stages)
        if not is_count(channels):
            raise ShapeError(f"the input needs a positive number of channels, not {shown(channels)}.")
        made = Builder(grid, channels, specs, kind)
        iota = Parameterization(made.frames, inputs=made.inputs, outputs=made.outputs, name="iota")
        return ConvolutionalNetwork(made.inputs, made.stages), iota

    @staticmethod
    def from_arrays(
        Ws: Sequence[Array],
        bs: Sequence[Array],
        grid: Sequence[int],
        stages: Architecture | str,
        *,
        kind: Kind = floating,
    ) -> tuple[ConvolutionalNetwork, Point, Parameterization]:
        """A network, its weights, and the arrays' own frames ``iota``.

        Parameters
        ----------
        Ws : arrays (m, J / groups, *kernel) of convolutions, (m, n) of dense layers, as PyTorch lays them
            out; a dense layer after a map takes it flattened channel by channel
        bs : arrays (m,)
        grid : lengths of the spatial axes of the input
        stages : as for `from_shape`; channels and kernels may be left out
        """
        Ws, bs = listed("the weights", Ws), listed("the biases", bs)
        if len(Ws) != len(bs) or not Ws:
            raise ShapeError(f"a network needs one bias for each weight, at least one; came {len(Ws)} and {len(bs)}.")
        specs = architecture(stages) if isinstance(stages, str) else listed("the stages", stages)
        for index, array in enumerate((*Ws, *bs)):
            if getattr(array, "shape", None) is None:
                raise KindError(f"weights and biases must be arrays; number {index} is {type(array).__name__}.")
        channels, filled = filled_in(specs, Ws, grid)
        net, iota = ConvolutionalNetwork.from_shape(grid, channels, filled, kind=kind)
        return net, net.weights_from_arrays(Ws, bs, iota), iota

    def weights_from_arrays(
        self, Ws: Sequence[Array], bs: Sequence[Array], parameterization: Parameterization
    ) -> Point:
        """The weights with these coordinates in a parameterization; arrays as for `from_arrays`."""
        Ws, bs = listed("the weights", Ws), listed("the biases", bs)
        stages = [stage for stage in self.stages if isinstance(stage, AffineStage)]
        if len(Ws) != len(stages) or len(bs) != len(stages):
            raise ShapeError(f"this network has {len(stages)} layers; came {len(Ws)} weights and {len(bs)} biases.")
        parts: list[Any] = []
        for index, (stage, matrix, bias) in enumerate(zip(stages, Ws, bs, strict=True), start=1):
            ns = self.inputs.kind.namespace_of(matrix)
            W = ns.asarray(matrix, what=f"the weight of layer {index}")
            b = ns.asarray(bias, what=f"the bias of layer {index}")
            wanted, groups = _shape(stage), len(stage.maps)
            if tuple(W.shape) != wanted or tuple(b.shape) != wanted[:1]:
                raise ShapeError(
                    f"layer {index} has weight {wanted} and bias {wanted[:1]}.\n"
                    f"  came: {tuple(W.shape)} and {tuple(b.shape)}\n"
                    "Weights are (m, channels / groups, *kernel), or (m, n) for a dense layer."
                )
            m = wanted[0] // groups
            for group, layer in enumerate(stage.maps):
                rows = _offset_major(ns, W[group * m : (group + 1) * m, ...], layer)
                parts.append(ns.concat([rows, ns.reshape(b[group * m : (group + 1) * m], (m, 1))], axis=1))
        weights: Point = self.weight_space.from_coordinates(parts, parameterization)
        return weights

    def to_arrays(self, element: Point | Vector, parameterization: Parameterization) -> list[tuple[Array, Array]]:
        """``[(W_1, b_1), ...]`` in a parameterization, shaped as for `from_arrays`: copies.

        Of weights; and, laid out as these, of a step (a vector) or of a differential (a covector).
        """
        components, ns = self._components(element, parameterization), element.namespace
        arrays = []
        for stage in self.stages:
            if not isinstance(stage, AffineStage):
                continue
            own = components[stage.first : stage.first + len(stage.maps)]
            matrices = [_channel_major(ns, part[:, :-1], layer) for part, layer in zip(own, stage.maps, strict=True)]
            W = ns.reshape(ns.concat(matrices, axis=0), _shape(stage))
            arrays.append((W, ns.concat([part[:, -1] for part in own], axis=0)))
        return arrays

    def assumptions(
        self,
        weights: Point,
        sample: Sample,
        output: Output,
        frames: Parameterization,
        *,
        fisher: Fisher = "exact",
        samples: int = 1,
        seed: int = 0,
    ) -> tuple[LayerAssumptions, ...]:
        """How far KFC's assumptions (IAD, SH, SUD) hold at every convolution, as numbers and correlations.

        Correlations of coordinates depend on the coordinates, so `frames` are named.  For small maps: memory
        grows like the square of the size of a map.

        Parameters
        ----------
        frames : the coordinates in which correlations are taken
        fisher, samples, seed : which derivatives, as for `kfac_metric`

        Raises
        ------
        KindError : the network is over an exact kind, or the data have weights.

        Source: GM 3, 5.1.
        """
        stored = self._own(weights)
        ns = stored.namespace.ordered("measuring correlations")
        layers, on_outputs = self._layers(stored), self._metric(output, fisher, samples, seed)
        metric = self.kfac_metric(stored, sample, output, fisher=fisher, samples=samples, seed=seed)
        much = at_once(self, layers, self._own_sample(sample).count, 1, {})

        def observe(chunk: Chunk, run: ChainPass, weights: Array) -> list[Observed]:
            if chunk.weights is not None:
                raise KindError("the assumptions are measured on data without weights.")
            whole = on_outputs.of(run, chunk).lifted()
            roots = ns.reshape(ns.sqrt(whole.weights), (*whole.weights.shape, *(1,) * len(run.places)))
            return list(observed(ns, run, whole.covectors.scaled(roots), layers, frames))

        seen = summed(GatheringTask(self, layers, much, observe), sample, {}).things.value
        blocks = metric.coordinates(frames).blocks
        parts = [joined(ns, layer) for layer in zip(*seen, strict=True)]
        return tuple(measured(ns, part, blocks[part.layer - 1].dense(), seed) for part in parts)

    def __repr__(self) -> str:
        inputs: Any = self.inputs
        shape = "x".join(map(str, (*inputs.grid, inputs.base.dim)))
        ends = "x".join(map(str, (*self.output_places, self.outputs.dim)))
        return f"ConvolutionalNetwork({shape} -> {ends}, {len(self.layers)} layers over {inputs.kind!r})"


def _shape(stage: AffineStage) -> tuple[int, ...]:
    """The shape of a stage's weight as an array: (m, J / groups, *kernel) or (m, n)."""
    layer, m = stage.maps[0], sum(layer.codomain.dim for layer in stage.maps)
    grid = getattr(layer.domain, "grid", ())
    if hasattr(stage, "windows"):
        return (m, layer.domain.dim // layer.domain.places, *grid)  # type: ignore[attr-defined]
    return (m, layer.domain.dim)


def _offset_major(ns: Namespace, W: Array, layer: AffineMaps) -> Array:
    """Columns channel by channel as columns offset by offset; (m, K J)."""
    m, places = W.shape[0], getattr(layer.domain, "places", 1)
    cube = ns.reshape(W, (m, layer.domain.dim // places, places))
    return ns.reshape(ns.permute(cube, (0, 2, 1)), (m, layer.domain.dim))


def _channel_major(ns: Namespace, W: Array, layer: AffineMaps) -> Array:
    """Columns offset by offset as columns channel by channel; (m, K J)."""
    m, places = W.shape[0], getattr(layer.domain, "places", 1)
    cube = ns.reshape(W, (m, places, layer.domain.dim // places))
    return ns.reshape(ns.permute(cube, (0, 2, 1)), (m, layer.domain.dim))
