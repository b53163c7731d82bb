"""Structured matrices in coordinates: what a metric becomes once a frame is named."""

from __future__ import annotations

from geomkfac.operators.block_diagonal import BlockDiagonal
from geomkfac.operators.dense import DenseMatrix
from geomkfac.operators.kronecker import ExactlyDampedKroneckerProduct, KroneckerProduct
from geomkfac.operators.kronecker_basis import DiagonalInKroneckerBasis, DualBases
from geomkfac.operators.operator import Operand, StructuredMatrix

__all__ = [
    "BlockDiagonal",
    "DenseMatrix",
    "DiagonalInKroneckerBasis",
    "DualBases",
    "ExactlyDampedKroneckerProduct",
    "KroneckerProduct",
    "Operand",
    "StructuredMatrix",
]
