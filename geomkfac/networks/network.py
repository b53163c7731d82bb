"""What every network can do: its function, its loss, its differential, and its metrics.

A network holds spaces and smooth maps, no weights; weights are a point of its weight space, the product
of spaces of affine maps.  A subclass says how a chunk of data passes through; everything else is here,
and is the same for fully connected, convolutional and recurrent networks: an affine map, applied at one
place or at many.  Source: LG 3.1, 3.5.2, 4.3, 5.3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, get_args

from geomkfac.arrays.namespace import Array
from geomkfac.errors import KindError, ShapeError, SpaceMismatchError, UnknownNameError
from geomkfac.maps import AffineMaps
from geomkfac.metrics.covectors import CovectorTensor
from geomkfac.metrics.direct_sum import DirectSumTensor
from geomkfac.metrics.metric import Metric
from geomkfac.metrics.output import Fisher, OutputModel, PlacedFamily
from geomkfac.networks import outputs as at_outputs
from geomkfac.networks import statistics
from geomkfac.networks.layers import Layer
from geomkfac.networks.moments import KfacMoments, Sharing
from geomkfac.networks.out_of_memory import taken
from geomkfac.networks.passes import Pass
from geomkfac.spaces import AffineSpace, Point, PointSpace, ProductSpace, Sample, Vector

__all__ = ["Network", "Output"]

Output = OutputModel | Metric

ENTRIES_PER_CHUNK = 1 << 22
"""How many numbers the largest array of one chunk may hold, unless a chunk size is given."""


class Network(ABC):
    """An abstract network.

    Attributes
    ----------
    inputs : affine space of one datum
    outputs : AffineSpace; output families are placed on it
    output_places : grid of the places at which a datum has an output; () for one output
    layers : AffineMaps, one per affine map
    weight_space : their product
    """

    __slots__ = ("__weakref__", "inputs", "layers", "outputs", "weight_space")

    inputs: PointSpace
    outputs: AffineSpace
    layers: tuple[AffineMaps, ...]
    weight_space: ProductSpace

    @property
    @abstractmethod
    def output_places(self) -> tuple[int, ...]:
        """The places at which a datum has an output."""

    @abstractmethod
    def _run(self, layers: tuple[Layer, ...], points: Point, lengths: Any) -> Pass:
        """The pass of a batch (N,) of inputs."""

    @abstractmethod
    def _chunk_size(self, covectors: int) -> int:
        """How many data are taken at a time, where each has this many covectors on the outputs."""

    def _at_once(self, count: int) -> int:
        """How many covectors are pulled back together, for `count` data."""
        return 1 << 62

    @property
    def output_layer(self) -> int | None:
        """Index of the layer whose pre-activations are the outputs, up to affine combinations."""
        return len(self.layers) - 1

    # -- the function --------------------------------------------------------------------------------
    def __call__(self, weights: Point, points: Point) -> Point:
        """The outputs at a point, or at each of a batch: of batch shape (*batch, *output_places).

        Source: LG (3.1), 4.1.2, 5.1.2.
        """
        self._check_inputs(points)
        batch = points.batch_shape
        count = 1
        for length in batch:
            count *= length
        flat = at_outputs.regrouped(points, (count,))
        found = self._run(self._layers(weights), flat, None).outputs
        return at_outputs.regrouped(found, (*batch, *found.batch_shape[1:]))

    def loss(self, weights: Point, sample: Sample, output: OutputModel, *, chunk_size: int | None = None) -> Array:
        """The mean loss over a sample, an array of shape (); means by the sample's weights.  Source: LG (2.1).

        The loss of a datum is the sum over its output places, where there are several.
        """
        model = self._model(output)
        steps = self._steps(self._layers(weights), sample, chunk_size, 1)
        return statistics.mean_loss(steps, lambda run, chunk: at_outputs.losses(model, run, chunk))

    def predictions(self, weights: Point, points: Point, output: PlacedFamily) -> Array:
        """Means of the targets at each point: probabilities, or means in the family's frame; (*batch, *places, m)."""
        if not isinstance(output, PlacedFamily):
            raise SpaceMismatchError(
                f"predictions need an output family on a frame, such as Categorical().on(iota); came: {output!r}."
            )
        self._check_outputs(output.space, output)
        return output.predictions(self(weights, points))

    def differential(
        self, weights: Point, sample: Sample, output: OutputModel, *, chunk_size: int | None = None
    ) -> Vector:
        """``dh``, the differential of the mean loss: a covector on the weight space.  Source: LG 2.2.4."""
        model = self._model(output)
        layers = self._layers(weights)
        steps = self._steps(layers, sample, chunk_size, 1)
        dh, _ = statistics.mean_differential(
            layers, self.weight_space.direction, steps, lambda run, chunk: at_outputs.differentials(model, run, chunk)
        )
        return dh

    def loss_and_differential(
        self, weights: Point, sample: Sample, output: OutputModel, *, chunk_size: int | None = None
    ) -> tuple[Array, Vector]:
        """The mean loss and its differential, from one pass; see `loss` and `differential`."""
        model = self._model(output)
        layers = self._layers(weights)
        dh, loss = statistics.mean_differential(
            layers,
            self.weight_space.direction,
            self._steps(layers, sample, chunk_size, 1),
            lambda run, chunk: at_outputs.differentials(model, run, chunk),
            lambda run, chunk: at_outputs.losses(model, run, chunk),
        )
        return loss, dh

    # -- metrics ---------------------------------------------------------------------------------------
    def kfac_metric(
        self,
        weights: Point,
        sample: Sample,
        output: Output,
        *,
        fisher: Fisher = "exact",
        samples: int = 1,
        seed: int = 0,
        sharing: Sharing = "expand",
        chunk_size: int | None = None,
    ) -> DirectSumTensor:
        """The K-FAC metric at `weights`: ``sum_i |T_i| E[a (x) a] (x) E[g(z_i)]``, T_i the places of layer i.

        Means are over the data and, for layers that are applied at several places, over these; |T_i| stands
        in the second factor, which so is the mean over data of sums over places.  In a fully connected
        network |T_i| is 1.

        Parameters
        ----------
        weights : Point of the weight space
        sample : Sample of the inputs; targets are read only by fisher='empirical'
        output : an output family on a frame, or any Metric on the output space
        fisher : 'exact' (expectation over the model's targets), 'sampled', or 'empirical'
        samples : targets drawn per datum, for 'sampled'; datum i's depend on (seed, i) alone
        sharing : 'expand' (LG), 'kfc' (the same metric, factors in GM's scaling), or 'reduce' (inputs
            averaged and covectors summed over places first: another metric); see `KfacMoments`
        chunk_size : data per chunk; None bounds memory

        Source: LG D3.9, D4.3, D5.3.
        """
        return self.moments(
            weights,
            sample,
            output,
            fisher=fisher,
            samples=samples,
            seed=seed,
            sharing=sharing,
            chunk_size=chunk_size,
        )._into_metric()

    def moments(
        self,
        weights: Point,
        sample: Sample,
        output: Output,
        *,
        fisher: Fisher = "exact",
        samples: int = 1,
        seed: int = 0,
        sharing: Sharing = "expand",
        chunk_size: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> KfacMoments:
        """The sums behind `kfac_metric`, which add over parts of the data; `progress` gets counts of data."""
        if sharing not in get_args(Sharing):
            raise UnknownNameError(f"sharing must be 'expand', 'reduce' or 'kfc', not {sharing!r}.")
        tensor_of, count = self._tensors(output, fisher, samples, seed)
        layers = self._layers(weights)
        return statistics.kfac_moments(
            layers,
            self._steps(layers, sample, chunk_size, count),
            tensor_of,
            progress,
            sharing=sharing,
            output=self.output_layer,
            at_once=self._at_once,
        )

    def fisher_metric(
        self,
        weights: Point,
        sample: Sample,
        output: Output,
        *,
        fisher: Fisher = "exact",
        samples: int = 1,
        seed: int = 0,
    ) -> CovectorTensor:
        """The expected pullback of the output metric, all layers together; for small networks.

        With an output family the exact Fisher metric (LG E3.2); with any other Metric on the outputs the
        Gauss-Newton metric of that metric (LG E3.3, E3.4).  One covector per datum and output covector.
        """
        tensor_of, count = self._tensors(output, fisher, samples, seed)
        layers = self._layers(weights)
        steps = self._steps(layers, sample, None, count)
        return statistics.exact_metric(layers, self.weight_space.direction, steps, tensor_of)

    def gauss_newton_metric(self, weights: Point, sample: Sample, metric: Metric) -> CovectorTensor:
        """``E[J^T G J]`` for a metric on the outputs, such as EuclideanMetric(frame).  Source: LG E3.3, E3.4."""
        if not isinstance(metric, Metric):
            raise SpaceMismatchError(f"a Gauss-Newton metric needs a Metric on {self.outputs!r}, not {metric!r}.")
        return self.fisher_metric(weights, sample, metric)

    # -- shared ------------------------------------------------------------------------------------------
    def _tensors(self, output: Output, fisher: Fisher, samples: int, seed: int) -> tuple[at_outputs.TensorOf, int]:
        """The output metric of each chunk, and about how many covectors it has per datum."""
        if fisher not in get_args(Fisher):
            raise UnknownNameError(f"fisher must be 'exact', 'sampled' or 'empirical', not {fisher!r}.")
        exact = self.outputs.dim
        for length in self.output_places:
            exact *= length
        if isinstance(output, Metric):
            self._check_outputs(output.space, output)
            if fisher != "exact":
                raise KindError(f"a metric has no targets to be {fisher}; use fisher='exact', or an output family.")
            return at_outputs.exact_of(output), exact
        tensor_of = at_outputs.model_of(self._model(output), fisher, samples, seed)
        return tensor_of, {"exact": exact, "sampled": samples, "empirical": 1}[fisher]

    def _model(self, output: Any) -> OutputModel:
        if not isinstance(output, OutputModel):
            raise SpaceMismatchError(
                f"required: an output family on a frame, such as Categorical().on(iota); came: {output!r}.\n"
                "A family needs a frame on the outputs."
            )
        self._check_outputs(output.space, output)
        return output

    def _check_outputs(self, space: Any, what: Any) -> None:
        if space is not self.outputs:
            raise SpaceMismatchError(f"the outputs of this network live in {self.outputs!r}.\n  came: {what!r}")

    def _own(self, weights: Any) -> Point:
        if not isinstance(weights, Point) or weights.space is not self.weight_space:
            raise SpaceMismatchError(f"weights must be a point of {self.weight_space!r}.\n  came: {weights!r}")
        if weights.batch_shape:
            raise ShapeError(f"weights must be one point, not a batch of shape {weights.batch_shape}.")
        return weights

    def _components(self, element: Any, parameterization: Any) -> tuple[Array, ...]:
        """(m, n + 1) for every layer: of weights, of a step, or of a differential."""
        spaces = (self.weight_space, self.weight_space.direction, self.weight_space.direction.dual)
        if getattr(element, "space", None) not in spaces:
            raise SpaceMismatchError(
                f"required: weights, a point of {self.weight_space!r}; a step, a vector of its direction; or a "
                f"differential, a covector on it.\n  came    : {element!r}"
            )
        if element.batch_shape:
            raise ShapeError(f"weights must be one point, not a batch of shape {element.batch_shape}.")
        components: tuple[Array, ...] = element.coordinates(parameterization)
        return components

    def _layers(self, weights: Point) -> tuple[Layer, ...]:
        parts = self.weight_space.split(self._own(weights))
        return tuple(Layer(space, omega) for space, omega in zip(self.layers, parts, strict=True))

    def _check_inputs(self, points: Any) -> None:
        if not isinstance(points, Point) or points.space is not self.inputs:
            raise SpaceMismatchError(f"the network takes points of {self.inputs!r}.\n  came: {points!r}")

    def _steps(
        self, layers: tuple[Layer, ...], sample: Sample, chunk_size: int | None, covectors: int
    ) -> statistics.Steps:
        """A pass for every chunk, at these layers: taken once, so that all stands in the same frames."""
        size = self._chunk_size(covectors) if chunk_size is None else chunk_size
        if not isinstance(sample, Sample) or sample.space is not self.inputs:
            raise SpaceMismatchError(
                f"the network takes a Sample of {self.inputs!r}.\n  came: {sample!r}\n"
                "Make it with iota.sample(X, y), iota the parameterization of this network."
            )
        for chunk in taken(sample.chunks(size)):
            if chunk.points._ns is not layers[0].omega._ns:
                raise KindError(
                    "weights and data must be arrays of one dtype, library and device.\n"
                    f"  weights: {layers[0].omega._ns.name}\n  data   : {chunk.points._ns.name}\n"
                    "Convert one of them, for example with X.astype(...)."
                )
            yield chunk, self._run(layers, chunk.points, chunk.lengths)
