"""What every network can do: its function, its loss, its differential, and its metrics.

A network holds spaces and smooth maps, no weights; weights are a point of its weight space, the product
of spaces of affine maps.  A subclass says how a chunk of data passes through; everything else is here,
and is the same for fully connected, convolutional and recurrent networks: an affine map, applied at one
place or at many.  Source: LG 3.1, 3.5.2, 4.3, 5.3.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, Unpack

from geomkfac.arrays.array import Array
from geomkfac.errors import KindError, ShapeError, SpaceMismatchError
from geomkfac.maps import AffineMaps
from geomkfac.metrics.families.output_family import Fisher, OutputModel, PlacedFamily
from geomkfac.metrics.metric import Metric
from geomkfac.metrics.tensors.covectors import CovectorTensor
from geomkfac.metrics.tensors.direct_sum import DirectSumTensor
from geomkfac.networks.building.arrays_in import random_parts
from geomkfac.networks.moments.exact_metric import PulledBack, exact_metric, pulled_back
from geomkfac.networks.moments.kfac_moments import KfacMoments
from geomkfac.networks.moments.second_moments import Sharing
from geomkfac.networks.passes.at_places import Output, OutputMetric, checked_output, regrouped
from geomkfac.networks.passes.chain_pass import Pass
from geomkfac.networks.passes.layers import Layer
from geomkfac.networks.running.layered_function import LayeredFunction
from geomkfac.networks.running.summing import Keeper, Running, at_once, saving_of, summed
from geomkfac.networks.running.tasks import GatheringTask, LossSums, LossTask, MomentsTask
from geomkfac.required import shown
from geomkfac.spaces import (
    AffineSpace,
    Chunk,
    Parameterization,
    Point,
    PointSpace,
    ProductSpace,
    Sample,
    Vector,
)
from geomkfac.spaces.frames.frame import derived_frame


class Network(LayeredFunction):
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

    def _pass_of(self, layers: tuple[Layer, ...], chunk: Chunk) -> Pass:
        """The pass of a chunk, whose arrays must be of the weights' dtype, library and device."""
        own, came = layers[0].omega.namespace, chunk.points.namespace
        if came is not own:
            raise KindError(
                "weights and data must be arrays of one dtype, library and device.\n"
                f"  weights: {own.name}\n  data   : {came.name}\n"
                "Convert one of them, for example with X.astype(...)."
            )
        return self._run(layers, chunk.points, chunk.lengths)

    @property
    def output_layer(self) -> int | None:
        """Index of the layer whose pre-activations are the outputs, up to affine combinations."""
        return len(self.layers) - 1

    # -- weights as arrays ---------------------------------------------------------------------------
    def random_weights(self, rng: Any, parameterization: Parameterization, like: Array | None = None) -> Point:
        """Weights with matrices normal of variance 1/n in a parameterization, biases zero; over exact kinds all random.

        n is the number of inputs of a layer: of a convolution, the size of a patch.

        Parameters
        ----------
        rng : numpy.random.Generator
        like : an array whose dtype, library and device to use; None for the default of the kind
        """
        weights: Point = self.weight_space.from_coordinates(random_parts(self.layers, rng, like), parameterization)
        return weights

    def to_arrays(self, element: Point | Vector, parameterization: Parameterization) -> list[tuple[Array, Array]]:
        """``[(W_1, b_1), ..., (W_L, b_L)]`` in a parameterization: copies, laid out as `from_arrays` takes them.

        Of weights; and, laid out as these, of a step (a vector) or of a differential (a covector).  A learned initial
        state of a recurrence comes last, as ((h, 0), alpha_0).
        """
        components, ns = self._components(element, parameterization), element.namespace
        return [(ns.copy(part[:, :-1]), ns.copy(part[:, -1])) for part in components]

    # -- the function --------------------------------------------------------------------------------
    def __call__(self, weights: Point, points: Point) -> Point:
        """The outputs at a point, or at each of a batch: of batch shape (*batch, *output_places).

        Source: LG (3.1), 4.1.2, 5.1.2.
        """
        self._check_inputs(points)
        batch = points.batch_shape
        flat = regrouped(points, (math.prod(batch),))
        found = self._run(self._layers(weights), flat, None).outputs
        return regrouped(found, (*batch, *found.batch_shape[1:]))

    def loss(self, weights: Point, sample: Sample, output: OutputModel, **running: Unpack[Running]) -> Array:
        """The mean loss over a sample, an array of shape (); means by the sample's weights.  Source: LG (2.1).

        The loss of a datum is the sum over its output places, where there are several.

        Parameters
        ----------
        **running : how the pass is run, as `Running` has it: chunk_size, memory_limit, executor, progress
        """
        layers = self._layers(weights)
        sums = self._summed(weights, layers, sample, output, running, differentials=False)
        return layers[0].omega.namespace.cast(sums.mean(sums.loss))

    def predictions(self, weights: Point, points: Point, output: PlacedFamily) -> Array:
        """Means of the targets at each point: probabilities, or means in the family's frame; (*batch, *places, k)."""
        if not isinstance(output, PlacedFamily):
            raise SpaceMismatchError(
                f"predictions need an output family on a frame, such as Categorical().on(iota); came: {shown(output)}."
            )
        self._check_outputs(output.space, output)
        return output.predictions(self(weights, points))

    def differential(
        self, weights: Point, sample: Sample, output: OutputModel, **running: Unpack[Running]
    ) -> Vector:
        """``dh``, the differential of the mean loss: a covector on the weight space; `running` as for `loss`.

        Source: LG (2.1), 2.2.4.
        """
        layers = self._layers(weights)
        return self._differential(layers, self._summed(weights, layers, sample, output, running, losses=False))

    def loss_and_differential(
        self, weights: Point, sample: Sample, output: OutputModel, **running: Unpack[Running]
    ) -> tuple[Array, Vector]:
        """The mean loss and its differential, from one pass; see `loss` and `differential`."""
        layers = self._layers(weights)
        sums = self._summed(weights, layers, sample, output, running)
        return layers[0].omega.namespace.cast(sums.mean(sums.loss)), self._differential(layers, sums)

    def _summed(
        self, weights: Point, layers: tuple[Layer, ...], sample: Sample, output: OutputModel, running: Running,
        *, losses: bool = True, differentials: bool = True,
    ) -> LossSums:  # fmt: skip
        """Losses and their differentials, each if they are asked for."""
        own, count = self._own_loss(output), self._own_sample(sample).count
        much = at_once(self, layers, count, 1, running)
        known = sample._known_at(weights, self)
        task = LossTask(self, layers, much, own if losses else None, own if differentials else None, known)
        sums = summed(task, sample, running)
        if sums.chosen is not None:
            sample._keep_at(weights, self, sums.chosen)
        return sums

    def _differential(self, layers: tuple[Layer, ...], sums: LossSums) -> Vector:
        direction = self.weight_space.direction
        frames = (sums.reference(index).frame.linear for index in range(len(layers)))
        frame, ns = derived_frame(direction, tuple(frames)).dual, layers[0].omega.namespace
        means = tuple(ns.cast(sums.mean(total)) for total in sums.layers)
        made: Vector = direction.dual.from_components(frame, means, ns)
        return made

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
        checkpoint: Keeper | None = None,
        **running: Unpack[Running],
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
        checkpoint : where the sums are saved after every chunk, and from where an interrupted run goes on:
            `geomkfac.interop.Checkpoint`
        **running : how the pass is run, as `Running` has it: chunk_size, memory_limit, executor, progress

        Raises
        ------
        MemoryLimitError : the limit on memory leaves no room for the factors, or for a datum beside them.
        WorkerError : the workers of the executor died, again and again.

        Source: LG D3.9, D4.3, D5.3.
        """
        return self.moments(
            weights, sample, output, fisher=fisher, samples=samples, seed=seed, sharing=sharing,
            checkpoint=checkpoint, **running,
        )._into_metric()  # fmt: skip

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
        with_loss: bool = False,
        checkpoint: Keeper | None = None,
        **running: Unpack[Running],
    ) -> KfacMoments:
        """The sums behind `kfac_metric`, which add over parts of the data; `with_loss` sums the losses as well."""
        layers, metric = self._layers(weights), self._metric(output, fisher, samples, seed)
        count, covectors = self._own_sample(sample).count, metric.covectors(self._output_entries)
        much = at_once(self, layers, count, covectors, running, lifted=sharing == "reduce")
        losses = checked_output(output) if with_loss else None
        task = MomentsTask(self, layers, much, losses, metric, sharing, sample._known_at(weights, self))
        sums = summed(task, sample, running, saving_of(checkpoint, task, sample, weights))
        if sums.chosen is not None:
            sample._keep_at(weights, self, sums.chosen)
        return task.moments(sums)

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
        layers, metric = self._layers(weights), self._metric(output, fisher, samples, seed)
        much = at_once(self, layers, self._own_sample(sample).count, metric.covectors(self._output_entries), {})

        def make(chunk: Chunk, run: Pass, weights: Array) -> PulledBack:
            return pulled_back(layers, run, metric.of(run, chunk), weights)

        sums = summed(GatheringTask(self, layers, much, make), sample, {})
        weight = layers[0].omega.namespace.cast(sums.weight.value)
        return exact_metric(layers, self.weight_space.direction, sums.things.value, weight)

    def gauss_newton_metric(self, weights: Point, sample: Sample, metric: Metric) -> CovectorTensor:
        """``E[J^T G J]`` for a metric on the outputs, such as EuclideanMetric(frame).  Source: LG E3.3, E3.4."""
        if not isinstance(metric, Metric):
            raise SpaceMismatchError(f"a Gauss-Newton metric needs a Metric on {self.outputs!r}, not {shown(metric)}.")
        return self.fisher_metric(weights, sample, metric)

    # -- shared ------------------------------------------------------------------------------------------
    def _metric(self, output: Output, fisher: Fisher, samples: int, seed: int) -> OutputMetric:
        metric = OutputMetric(output, fisher, samples, seed)
        self._check_outputs(output.space, output)
        return metric

    @property
    def _output_entries(self) -> int:
        """How many numbers all outputs of a datum are."""
        return self.outputs.dim * math.prod(self.output_places)

    def _own_loss(self, output: Any) -> OutputModel:
        self._check_outputs(checked_output(output).space, output)
        loss: OutputModel = output
        return loss

    def _check_outputs(self, space: Any, what: Any) -> None:
        if space is not self.outputs:
            raise SpaceMismatchError(f"the outputs of this network live in {self.outputs!r}.\n  came: {what!r}")

    def _own(self, weights: Any) -> Point:
        if not isinstance(weights, Point) or weights.space is not self.weight_space:
            raise SpaceMismatchError(f"weights must be a point of {self.weight_space!r}.\n  came: {shown(weights)}")
        if weights.batch_shape:
            raise ShapeError(f"weights must be one point, not a batch of shape {weights.batch_shape}.")
        return weights

    def _components(self, element: Any, parameterization: Any) -> tuple[Array, ...]:
        """(m, n + 1) for every layer: of weights, of a step, or of a differential."""
        spaces = (self.weight_space, self.weight_space.direction, self.weight_space.direction.dual)
        if getattr(element, "space", None) not in spaces:
            raise SpaceMismatchError(
                f"required: weights, a point of {self.weight_space!r}; a step, a vector of its direction; or a "
                f"differential, a covector on it.\n  came    : {shown(element)}"
            )
        if element.batch_shape:
            raise ShapeError(f"weights must be one point, not a batch of shape {element.batch_shape}.")
        components: tuple[Array, ...] = element.coordinates(parameterization)
        return components

    def _layers(self, weights: Point) -> tuple[Layer, ...]:
        parts = self.weight_space.split(self._own(weights))
        return tuple(
            Layer(space, omega, omega.storage_frame.structured)
            for space, omega in zip(self.layers, parts, strict=True)
        )

    def _check_inputs(self, points: Any) -> None:
        if not isinstance(points, Point) or points.space is not self.inputs:
            raise SpaceMismatchError(f"the network takes points of {self.inputs!r}.\n  came: {shown(points)}")

    def _own_sample(self, sample: Any) -> Sample:
        if not isinstance(sample, Sample) or sample.space is not self.inputs:
            raise SpaceMismatchError(
                f"the network takes a Sample of {self.inputs!r}.\n  came: {shown(sample)}\n"
                "Make it with iota.sample(X, y), iota the parameterization of this network."
            )
        return sample
