"""Spaces, their elements, and the frames through which numbers pass."""

from geomkfac.spaces.vector import Dual, LinearSpace, VectorSpace  # isort: skip
from geomkfac.spaces.affine import AffineSpace, Direction, Hull, PointSpace
from geomkfac.spaces.canonical import (
    CanonicalIsomorphism,
    bilinear_as_map,
    dual_of_tensor,
    swap,
    tensor_as_hom,
)
from geomkfac.spaces.element import Element, Point, Vector, affine_combination
from geomkfac.spaces.frames.frame import BaseFrame, DenseFrame, DerivedFrame, Frame
from geomkfac.spaces.frames.gauge import gauge_fuzzing
from geomkfac.spaces.parameterization import Euclidean, Parameterization
from geomkfac.spaces.power import PowerSpace, PowerVectorSpace
from geomkfac.spaces.product import ProductSpace, ProductVectorSpace
from geomkfac.spaces.samples.pieces import Chunk, Piece
from geomkfac.spaces.samples.sample import Sample
from geomkfac.spaces.space import Space
from geomkfac.spaces.subspace import AffineSubspace, Span, Subspace
from geomkfac.spaces.tensor import Hom, TensorProduct, contract, tensor

__all__ = [
    "AffineSpace",
    "AffineSubspace",
    "BaseFrame",
    "CanonicalIsomorphism",
    "Chunk",
    "DenseFrame",
    "DerivedFrame",
    "Direction",
    "Dual",
    "Element",
    "Euclidean",
    "Frame",
    "Hom",
    "Hull",
    "LinearSpace",
    "Parameterization",
    "Piece",
    "Point",
    "PointSpace",
    "PowerSpace",
    "PowerVectorSpace",
    "ProductSpace",
    "ProductVectorSpace",
    "Sample",
    "Space",
    "Span",
    "Subspace",
    "TensorProduct",
    "Vector",
    "VectorSpace",
    "affine_combination",
    "bilinear_as_map",
    "contract",
    "dual_of_tensor",
    "gauge_fuzzing",
    "swap",
    "tensor",
    "tensor_as_hom",
]
