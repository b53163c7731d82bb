"""Multilayer perceptrons without coordinates: affine maps and activations between affine spaces.

An `MLP` holds spaces and activation functions, no weights; weights are a point of its weight space,
the product of the spaces of affine maps.  Source: LG 3.1, 3.5.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

from geomkfac.arrays import floating
from geomkfac.arrays.draws import Draws
from geomkfac.arrays.namespace import Array, Kind
from geomkfac.errors import KindError, ShapeError, SpaceMismatchError, UnknownNameError
from geomkfac.maps import AffineMaps, CoordinatewiseMap, SmoothMap
from geomkfac.maps.activation import Activation
from geomkfac.metrics.covectors import CovectorTensor
from geomkfac.metrics.direct_sum import DirectSumTensor
from geomkfac.metrics.metric import Metric
from geomkfac.metrics.output import Fisher, OutputModel, PlacedFamily
from geomkfac.networks import statistics
from geomkfac.networks.arrays_in import checked_layers, stacked_arrays
from geomkfac.networks.layers import Layer, Trace
from geomkfac.networks.moments import KfacMoments
from geomkfac.spaces import AffineSpace, Chunk, Parameterization, Point, ProductSpace, Sample, Vector

__all__ = ["MLP"]

Output = OutputModel | Metric


@final
class MLP:
    """An abstract multilayer perceptron.

    Parameters
    ----------
    inputs : AffineSpace A_0
    activations : smooth maps rho_i: Z_i -> A_i of the hidden layers, in order
    outputs : AffineSpace Z_L, the last pre-activation space; output families are placed on it

    Attributes
    ----------
    layers : AffineMaps(A_{i-1}, Z_i), one per layer
    weight_space : their product

    Source: LG 3.1.
    """

    __slots__ = ("activations", "inputs", "layers", "outputs", "weight_space")

    def __init__(self, inputs: AffineSpace, activations: Sequence[SmoothMap], outputs: AffineSpace) -> None:
        domains: list[Any] = [inputs, *(rho.codomain for rho in activations)]
        codomains: list[Any] = [*(rho.domain for rho in activations), outputs]
        self.inputs, self.outputs, self.activations = inputs, outputs, tuple(activations)
        self.layers = tuple(AffineMaps(a, z) for a, z in zip(domains, codomains, strict=True))
        self.weight_space: ProductSpace = ProductSpace(*self.layers)

    # -- from arrays, and back ---------------------------------------------------------------------
    @staticmethod
    def from_widths(
        widths: Sequence[int], activation: str | Activation = "tanh", *, kind: Kind = floating
    ) -> tuple[MLP, Parameterization]:
        """A network of these layer widths and the parameterization ``iota`` in which it is coordinatewise.

        Parameters
        ----------
        widths : (n_0, ..., n_L), inputs first
        activation : of the hidden layers
        kind : kind of scalar
        """
        if len(widths) < 2:
            raise ShapeError(f"a network needs at least an input and an output width, not {list(widths)}.")
        inputs = AffineSpace("A0", widths[0], kind)
        frames = [inputs.frame("iota")]
        rhos = []
        for index, width in enumerate(widths[1:-1], start=1):
            before, after = AffineSpace(f"Z{index}", width, kind), AffineSpace(f"A{index}", width, kind)
            source, target = before.frame("iota"), after.frame("iota")
            frames += [source, target]
            rhos.append(CoordinatewiseMap(source, target, activation))
        outputs = AffineSpace(f"Z{len(widths) - 1}", widths[-1], kind)
        frames.append(outputs.frame("iota"))
        iota = Parameterization(frames, inputs=inputs, outputs=outputs, name="iota")
        return MLP(inputs, rhos, outputs), iota

    @staticmethod
    def from_arrays(
        Ws: Sequence[Array], bs: Sequence[Array], activation: str | Activation = "tanh", *, kind: Kind = floating
    ) -> tuple[MLP, Point, Parameterization]:
        """A network, its weights, and the arrays' own frames ``iota``.

        Parameters
        ----------
        Ws : arrays (m_i, m_{i-1}), copied
        bs : arrays (m_i,), copied
        activation : of the hidden layers, in the arrays' own frames; the outputs have none

        Raises
        ------
        ShapeError, KindError, ValuesError, UnknownNameError
        """
        widths = checked_layers(kind, Ws, bs)
        net, iota = MLP.from_widths(widths, activation, kind=kind)
        return net, net.weights_from_arrays(Ws, bs, iota), iota

    def weights_from_arrays(
        self, Ws: Sequence[Array], bs: Sequence[Array], parameterization: Parameterization
    ) -> Point:
        """The weights with these coordinates, (W_i b_i), in a parameterization."""
        parts = stacked_arrays(self.layers, Ws, bs)
        weights: Point = self.weight_space.from_coordinates(parts, parameterization)
        return weights

    def to_arrays(self, weights: Point, parameterization: Parameterization) -> list[tuple[Array, Array]]:
        """``[(W_1, b_1), ..., (W_L, b_L)]`` in a parameterization: copies, shapes (m, n) and (m,)."""
        components = self._own(weights).coordinates(parameterization)
        ns = weights._ns
        return [(ns.copy(part[:, :-1]), ns.copy(part[:, -1])) for part in components]

    def random_weights(self, rng: Any, parameterization: Parameterization, like: Array | None = None) -> Point:
        """Weights with W normal of variance 1/n in a parameterization, and b zero; over exact kinds all random.

        Parameters
        ----------
        rng : numpy.random.Generator
        like : an array whose dtype, library and device to use; None for the default of the kind
        """
        kind = self.inputs.kind
        ns = kind.default_namespace if like is None else kind.namespace_of(like)
        parts = []
        for layer in self.layers:
            m, n = layer.codomain.dim, layer.domain.dim
            if kind.is_exact:
                parts.append(ns.random(rng, (m, n + 1)))
                continue
            matrix = ns.random(rng, (m, n)) * (1.0 / max(n, 1) ** 0.5)
            parts.append(ns.concat([matrix, ns.zeros((m, 1))], axis=1))
        weights: Point = self.weight_space.from_coordinates(parts, parameterization)
        return weights

    # -- the function --------------------------------------------------------------------------------
    def __call__(self, weights: Point, points: Point) -> Point:
        """The outputs zeta_L at a point, or at each of a batch.  Source: LG (3.1)."""
        if not isinstance(points, Point) or points.space is not self.inputs:
            raise SpaceMismatchError(f"the network takes points of {self.inputs!r}.\n  came: {points!r}")
        alpha: Any = points
        for index, layer in enumerate(self._layers(weights)):
            alpha = layer.omega(alpha)
            if index < len(self.activations):
                alpha = self.activations[index](alpha)
        result: Point = alpha
        return result

    def loss(self, weights: Point, sample: Sample, output: OutputModel, *, chunk_size: int | None = None) -> Array:
        """The mean loss over a sample, an array of shape (); means by the sample's weights.  Source: LG (2.1)."""
        model = self._model(output)
        steps = self._steps(weights, sample, chunk_size, 1)
        return statistics.mean_loss(steps, lambda trace, chunk: model.loss(trace.outputs, chunk.targets))

    def predictions(self, weights: Point, points: Point, output: PlacedFamily) -> Array:
        """The mean of the targets at each point: probabilities, or means in the family's frame; (N, m)."""
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
        steps = self._steps(weights, sample, chunk_size, 1)
        return statistics.mean_differential(
            layers,
            self.weight_space.direction,
            steps,
            lambda trace, chunk: model.differential(trace.outputs, chunk.targets),
        )

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
        chunk_size: int | None = None,
    ) -> DirectSumTensor:
        """The K-FAC metric at `weights`: ``sum_i E[a_{i-1} (x) a_{i-1}] (x) E[g(z_i)]``; means over the data.

        Parameters
        ----------
        weights : Point of the weight space
        sample : Sample of the inputs; targets are read only by fisher='empirical'
        output : an output family on a frame, or any Metric on the output space
        fisher : 'exact' (expectation over the model's targets), 'sampled', or 'empirical'
        samples : targets drawn per datum, for 'sampled'; datum i's depend on (seed, i) alone
        chunk_size : data per chunk; None bounds memory

        Source: LG D3.9, (3.8).
        """
        return self.moments(
            weights, sample, output, fisher=fisher, samples=samples, seed=seed, chunk_size=chunk_size
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
        chunk_size: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> KfacMoments:
        """The sums behind `kfac_metric`, which add over parts of the data; `progress` gets counts of data."""
        tensor_of, count = self._tensors(output, fisher, samples, seed)
        layers = self._layers(weights)
        steps = self._steps(weights, sample, chunk_size, count)
        return statistics.kfac_moments(layers, steps, tensor_of, progress)

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
        steps = self._steps(weights, sample, None, count)
        return statistics.exact_metric(layers, self.weight_space.direction, steps, tensor_of)

    def gauss_newton_metric(self, weights: Point, sample: Sample, metric: Metric) -> CovectorTensor:
        """``E[J^T G J]`` for a metric on the outputs, such as EuclideanMetric(frame).  Source: LG E3.3, E3.4."""
        if not isinstance(metric, Metric):
            raise SpaceMismatchError(f"a Gauss-Newton metric needs a Metric on {self.outputs!r}, not {metric!r}.")
        return self.fisher_metric(weights, sample, metric)

    # -- shared ------------------------------------------------------------------------------------------
    def _tensors(
        self, output: Output, fisher: Fisher, samples: int, seed: int
    ) -> tuple[statistics.TensorOf, int]:
        """The output tensor of each chunk, and about how many covectors it has per datum."""
        if fisher not in ("exact", "sampled", "empirical"):
            raise UnknownNameError(f"fisher must be 'exact', 'sampled' or 'empirical', not {fisher!r}.")
        if isinstance(output, Metric):
            metric = output
            self._check_outputs(metric.space, metric)
            if fisher != "exact":
                raise KindError(f"a metric has no targets to be {fisher}; use fisher='exact', or an output family.")
            return lambda trace, chunk: _in_covectors(metric, trace), self.outputs.dim
        model, draws = self._model(output), Draws(seed)

        def tensor(trace: Trace, chunk: Chunk) -> CovectorTensor:
            return model.tensor(trace.outputs, chunk.targets, fisher, draws, chunk.first, samples)

        return tensor, {"exact": self.outputs.dim, "sampled": samples, "empirical": 1}[fisher]

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

    def _layers(self, weights: Point) -> tuple[Layer, ...]:
        parts = self.weight_space.split(self._own(weights))
        return tuple(Layer(space, omega) for space, omega in zip(self.layers, parts, strict=True))

    def _steps(self, weights: Point, sample: Sample, chunk_size: int | None, covectors: int) -> Any:
        layers = self._layers(weights)
        size = statistics.default_chunk_size(layers, covectors) if chunk_size is None else chunk_size
        return statistics.traces(layers, self.activations, sample, size)

    def __repr__(self) -> str:
        widths = "-".join(str(width) for width in (self.inputs.dim, *(layer.codomain.dim for layer in self.layers)))
        return f"MLP({widths} over {self.inputs.kind!r})"


def _in_covectors(metric: Metric, trace: Trace) -> CovectorTensor:
    tensor = metric.at(trace.outputs)
    if not isinstance(tensor, CovectorTensor):
        raise SpaceMismatchError(f"the output metric must come in covectors, not as {tensor!r}.")
    return tensor
