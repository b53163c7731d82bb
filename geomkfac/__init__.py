"""geomkfac: the geometry of K-FAC, written without coordinates, and running.

Two kinds of things and one door.  Points, vectors, covectors, maps, metrics and networks are intrinsic:
they know their space and hide their numbers.  Arrays come out, and go in, where a frame is named.
"""

from __future__ import annotations

from importlib import import_module

from geomkfac.version import __version__ as __version__

TYPE_CHECKING = False  # that of typing takes longer to import than all of this
if TYPE_CHECKING:
    from geomkfac import errors
    from geomkfac.arrays import GF, floating, namespace_of
    from geomkfac.maps import (
        AffineMap,
        AffineMaps,
        CoordinatewiseMap,
        GenericMap,
        LinearMap,
        SmoothMap,
    )
    from geomkfac.metrics import (
        AdditiveMetric,
        Bernoulli,
        Categorical,
        ConstantMetric,
        CovectorMetric,
        CovectorTensor,
        DenseTensor,
        DirectSumTensor,
        EuclideanMetric,
        ExpectedMetric,
        FisherMetric,
        Gaussian,
        GenericFamily,
        HeteroscedasticGaussian,
        IndependenceMetric,
        KroneckerTensor,
        Metric,
        MetricTensor,
        Poisson,
        PullbackMetric,
        ReducedCategorical,
        SideBySide,
    )
    from geomkfac.networks import (
        MLP,
        AveragePooling,
        Convolution,
        ConvolutionalNetwork,
        Dense,
        MaxPooling,
        RecurrentNetwork,
        pad_sequences,
    )
    from geomkfac.operators import BlockDiagonal, DenseMatrix, KroneckerProduct
    from geomkfac.spaces import (
        AffineSpace,
        Frame,
        Hom,
        Hull,
        Parameterization,
        Point,
        PowerSpace,
        ProductSpace,
        Sample,
        TensorProduct,
        Vector,
        VectorSpace,
        affine_combination,
        tensor,
    )

__all__ = [  # noqa: RUF022 (in the order in which the docs teach them)
    "AffineSpace",
    "VectorSpace",
    "Frame",
    "Point",
    "Vector",
    "affine_combination",
    "Hull",
    "TensorProduct",
    "Hom",
    "tensor",
    "ProductSpace",
    "PowerSpace",
    "Parameterization",
    "Sample",
    "SmoothMap",
    "LinearMap",
    "AffineMaps",
    "AffineMap",
    "CoordinatewiseMap",
    "GenericMap",
    "Metric",
    "MetricTensor",
    "EuclideanMetric",
    "ConstantMetric",
    "CovectorMetric",
    "FisherMetric",
    "PullbackMetric",
    "ExpectedMetric",
    "IndependenceMetric",
    "AdditiveMetric",
    "DenseTensor",
    "CovectorTensor",
    "KroneckerTensor",
    "DirectSumTensor",
    "Categorical",
    "ReducedCategorical",
    "Bernoulli",
    "Gaussian",
    "HeteroscedasticGaussian",
    "Poisson",
    "SideBySide",
    "GenericFamily",
    "MLP",
    "ConvolutionalNetwork",
    "Convolution",
    "Dense",
    "AveragePooling",
    "MaxPooling",
    "RecurrentNetwork",
    "pad_sequences",
    "KroneckerProduct",
    "BlockDiagonal",
    "DenseMatrix",
    "floating",
    "GF",
    "namespace_of",
    "errors",
]

ROOMS = ("arrays", "spaces", "maps", "metrics", "networks", "operators")
"""Where these names come from."""

if not TYPE_CHECKING:  # An attribute that anything may have would hide mistakes from type checkers.

    def __getattr__(name: str) -> object:
        """A public name or a room, imported when it is asked for first: the program sees to signals before."""
        if name in ROOMS or name in ("audit", "errors"):
            return import_module(f"geomkfac.{name}")
        if name in __all__:
            room = next(room for room in map(__getattr__, ROOMS) if name in room.__all__)
            return globals().setdefault(name, getattr(room, name))
        raise AttributeError(f"module 'geomkfac' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, *ROOMS, "audit"})
