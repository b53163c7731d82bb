"""Arrays over every kind of scalar: one contract, floating point and exact fields."""

from __future__ import annotations

from geomkfac.arrays.array import Array, RandomSource, Scalar
from geomkfac.arrays.dispatch import kind_of, namespace_of
from geomkfac.arrays.exact.degree import DegreeArray, DegreeField, equality_bound, false_identity_bound
from geomkfac.arrays.exact.fields import ExactArray
from geomkfac.arrays.exact.prime import GF, PrimeField, PrimeNamespace, random_prime
from geomkfac.arrays.exact.rational import RationalField, RationalNamespace, rational
from geomkfac.arrays.exact.symbolic import SymbolicKind, SymbolicNamespace, symbolic, symbols, vanishes
from geomkfac.arrays.floats.admitted_arrays import recording_gradients
from geomkfac.arrays.floats.floating import FloatingKind, FloatingNamespace, floating
from geomkfac.arrays.floats.library_names import LIBRARIES, LIBRARY_ON, floating_namespace
from geomkfac.arrays.namespace import Kind, Namespace, OrderedNamespace
from geomkfac.arrays.random.draws import Draws, generator
from geomkfac.arrays.random.stream import Stream
from geomkfac.arrays.regression import Exponent, fitted_exponent

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
