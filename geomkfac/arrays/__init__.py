"""Arrays over every kind of scalar: one contract, floating point and exact fields."""

from __future__ import annotations

from geomkfac.arrays.degree import DegreeArray, DegreeField, equality_bound, false_identity_bound
from geomkfac.arrays.dispatch import kind_of, namespace_of
from geomkfac.arrays.doors import recording_gradients
from geomkfac.arrays.draws import Draws, generator
from geomkfac.arrays.exact import ExactArray
from geomkfac.arrays.floating import FloatingKind, FloatingNamespace, floating
from geomkfac.arrays.libraries import LIBRARIES, LIBRARY_ON, floating_namespace
from geomkfac.arrays.namespace import Array, Kind, Namespace, OrderedNamespace, RandomSource, Scalar
from geomkfac.arrays.prime import GF, PrimeField, PrimeNamespace, random_prime
from geomkfac.arrays.rational import RationalField, RationalNamespace, rational
from geomkfac.arrays.regression import Exponent, fitted_exponent
from geomkfac.arrays.stream import Stream
from geomkfac.arrays.symbolic import SymbolicKind, SymbolicNamespace, symbolic, symbols, vanishes

__all__ = [  # noqa: RUF022 - in the order in which the docs teach them
    "Array",
    "Scalar",
    "RandomSource",
    "Kind",
    "Namespace",
    "OrderedNamespace",
    "namespace_of",
    "kind_of",
    "floating",
    "FloatingKind",
    "FloatingNamespace",
    "floating_namespace",
    "LIBRARIES",
    "LIBRARY_ON",
    "recording_gradients",
    "GF",
    "PrimeField",
    "PrimeNamespace",
    "random_prime",
    "rational",
    "RationalField",
    "RationalNamespace",
    "symbolic",
    "SymbolicKind",
    "SymbolicNamespace",
    "symbols",
    "vanishes",
    "ExactArray",
    "DegreeField",
    "DegreeArray",
    "equality_bound",
    "false_identity_bound",
    "Draws",
    "generator",
    "Stream",
    "fitted_exponent",
    "Exponent",
]
