"""What every network can do: its function, its loss, its differential, and its metrics.

A network holds spaces and smooth maps, no weights; weights are a point of its weight space, the product
of spaces of affine maps.  A subclass says how a chunk of data passes through; everything else is here,
and is the same for fully connected, convolutional and recurrent networks: an affine map, applied at one
place or at many.  Source: LG 3.1, 3.5.2, 4.3, 5.3.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, Unpack, get_args

from geomkfac.arrays.namespace import Array, Namespace
from geomkfac.errors import KindError, ShapeError, SpaceMismatchError, UnknownNameError
from geomkfac.maps import AffineMaps
from geomkfac.metrics.families.output_family import Fisher, OutputModel, PlacedFamily
from geomkfac.metrics.metric import Metric
from geomkfac.metrics.tensors.covectors import CovectorTensor
from geomkfac.metrics.tensors.direct_sum import DirectSumTensor
from geomkfac.networks.moments import statistics
from geomkfac.networks.moments.kfac_moments import KfacMoments, Sharing, nonzero
from geomkfac.networks.passes import at_places as at_outputs
from geomkfac.networks.passes.chain_pass import Pass
from geomkfac.networks.passes.layers import Layer
from geomkfac.networks.running.memory_limit import Demand, Portion, portion_within
from geomkfac.networks.running.summing import Checkpoint, Running, checked_running, summed
from geomkfac.networks.running.tasks import DifferentialTask, LossTask, MomentsTask
from geomkfac.spaces import AffineSpace, Point, PointSpace, ProductSpace, Sample, Vector
from geomkfac.spaces.frames.frame import derived_frame

Output = OutputModel | Metric

ENTRIES_PER_CHUNK = 1 << 22
"""How many numbers the largest array of one chunk may hold, unless a chunk size is given."""

PIECES = 32
"""So many chunks, at least, for the workers of an executor: not a number that depends on how many they are."""


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
        flat = at_outputs.regrouped(points, (math.prod(batch),))
        found = self._run(self._layers(weights), flat, None).outputs
        return at_outputs.regrouped(found, (*batch, *found.batch_shape[1:]))

    def loss(self, weights: Point, sample: Sample, output: OutputModel, **running: Unpack[Running]) -> Array:
        """The mean loss over a sample, an array of shape (); means by the sample's weights.  Source: LG (2.1).

        The loss of a datum is the sum over its output places, where there are several.

        Parameters
        ----------
        **running : how the pass is run, as `Running` has it: chunk_size, memory_limit, executor, progress
        """
        task = LossTask(self, self._layers(weights), self._model(output))
        sums = summed(
            task, self._own_sample(sample), self._portion(weights.namespace, sample, 1, running).data, running
        )
        return sums.loss / nonzero(sums.weight)

    def predictions(self, weights: Point, points: Point, output: PlacedFamily) -> Array:
        """Means of the targets at each point: probabilities, or means in the family's frame; (*batch, *places, k)."""
        if not isinstance(output, PlacedFamily):
            raise SpaceMismatchError(
                f"predictions need an output family on a frame, such as Categorical().on(iota); came: {output!r}."
            )
        self._check_outputs(output.space, output)
        return output.predictions(self(weights, points))

    def differential(
        self, weights: Point, sample: Sample, output: OutputModel, **running: Unpack[Running]
    ) -> Vector:
        """``dh``, the differential of the mean loss: a covector on the weight space; `running` as for `loss`.

        Source: LG (2.1), 2.2.4.
        """
        return self._differential(weights, sample, output, False, running)[1]

    def loss_and_differential(
        self, weights: Point, sample: Sample, output: OutputModel, **running: Unpack[Running]
    ) -> tuple[Array, Vector]:
        """The mean loss and its differential, from one pass; see `loss` and `differential`."""
        return self._differential(weights, sample, output, True, running)

    def _differential(
        self, weights: Point, sample: Sample, output: OutputModel, with_loss: bool, running: Running
    ) -> tuple[Array, Vector]:
        layers = self._layers(weights)
        task = DifferentialTask(self, layers, self._model(output), with_loss)
        sums = summed(
            task, self._own_sample(sample), self._portion(weights.namespace, sample, 1, running).data, running
        )
        weight, direction = nonzero(sums.weight), self.weight_space.direction
        frame = derived_frame(direction, tuple(layer.frame.linear for layer in layers)).dual
        means = tuple(total / weight for total in sums.layers)
        made: Vector = direction.dual.from_components(frame, means, layers[0].omega.namespace)
        return None if sums.loss is None else sums.loss / weight, made

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
        checkpoint: Checkpoint | None = None,
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
            weights,
            sample,
            output,
            fisher=fisher,
            samples=samples,
            seed=seed,
            sharing=sharing,
            checkpoint=checkpoint,
            **running,
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
        with_loss: bool = False,
        checkpoint: Checkpoint | None = None,
        **running: Unpack[Running],
    ) -> KfacMoments:
        """The sums behind `kfac_metric`, which add over parts of the data; `with_loss` sums the losses as well."""
        if sharing not in get_args(Sharing):
            raise UnknownNameError(f"sharing must be 'expand', 'reduce' or 'kfc', not {sharing!r}.")
        output, count = self._output(output, fisher, samples)
        losses = self._model(output) if with_loss else None
        layers = self._layers(weights)
        portion = self._portion(weights.namespace, sample, count, running, lifted=sharing == "reduce")
        task = MomentsTask(self, layers, output, fisher, samples, seed, sharing, portion.covectors, losses)
        if checkpoint is not None and not hasattr(checkpoint, "of"):
            raise KindError(f"checkpoint must be a geomkfac.interop.Checkpoint(path, iota).\n  came: {checkpoint!r}")
        saving = None if checkpoint is None else checkpoint.of(task, sample, weights)
        return summed(task, self._own_sample(sample), portion.data, running, saving).moments()

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
        output, count = self._output(output, fisher, samples)
        task = MomentsTask(self, self._layers(weights), output, fisher, samples, seed, "expand", 1)
        pieces = self._own_sample(sample).pieces(self._portion(weights.namespace, sample, count, {}).data)
        return statistics.exact_metric(task.layers, self.weight_space.direction, pieces, task.run, task.tensor_of())

    def gauss_newton_metric(self, weights: Point, sample: Sample, metric: Metric) -> CovectorTensor:
        """``E[J^T G J]`` for a metric on the outputs, such as EuclideanMetric(frame).  Source: LG E3.3, E3.4."""
        if not isinstance(metric, Metric):
            raise SpaceMismatchError(f"a Gauss-Newton metric needs a Metric on {self.outputs!r}, not {metric!r}.")
        return self.fisher_metric(weights, sample, metric)

    # -- shared ------------------------------------------------------------------------------------------
    def _output(self, output: Output, fisher: Fisher, samples: int) -> tuple[Output, int]:
        """The output model or metric, checked, and about how many covectors it has per datum."""
        if fisher not in get_args(Fisher):
            raise UnknownNameError(f"fisher must be 'exact', 'sampled' or 'empirical', not {fisher!r}.")
        exact = self.outputs.dim * math.prod(self.output_places)
        if isinstance(output, Metric):
            self._check_outputs(output.space, output)
            if fisher != "exact":
                raise KindError(f"a metric has no targets to be {fisher}; use fisher='exact', or an output family.")
            return output, exact
        return self._model(output), {"exact": exact, "sampled": samples, "empirical": 1}[fisher]

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

    def _own_sample(self, sample: Any) -> Sample:
        if not isinstance(sample, Sample) or sample.space is not self.inputs:
            raise SpaceMismatchError(
                f"the network takes a Sample of {self.inputs!r}.\n  came: {sample!r}\n"
                "Make it with iota.sample(X, y), iota the parameterization of this network."
            )
        return sample

    def _portion(
        self, ns: Namespace, sample: Sample, covectors: int, running: Running, *, lifted: bool = False
    ) -> Portion:
        """How many data and covectors are taken at a time, of arrays of `ns`; `lifted` as for `_demand`."""
        size, limit = checked_running(running)
        data = self._chunk_size(covectors) if size is None else size
        portion = Portion(data, min(covectors, self._at_once(data)))
        if limit is not None:
            itemsize = 4 if ns.epsilon > 1e-10 else 8
            portion = portion_within(limit, self._demand(covectors, lifted, itemsize), covectors, portion)
        count = self._own_sample(sample).count
        if running.get("executor") is not None and size is None and count is not None:
            # A few pieces for every worker; but none so small that its sums are larger than its data.
            widest = max(space.dim for layer in self.layers for space in (layer.domain, layer.codomain))
            portion = replace(portion, data=min(portion.data, max(widest, -(-count // PIECES))))
        return portion

    @abstractmethod
    def _demand(self, covectors: int, lifted: bool, itemsize: int) -> Demand:
        """What a pass needs in memory; `lifted` where covectors at single places become covectors on all places."""

    @property
    def _entries_of_sums(self) -> int:
        """Numbers in all factors, and once more in the largest, which is added to its sum."""
        sides = [side for layer in self.layers for side in (layer.domain.dim + 1, layer.codomain.dim)]
        return sum(side * side for side in sides) + max(side * side for side in sides)
