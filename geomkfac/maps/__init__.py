"""Maps."""
from geomkfac.maps.smooth import SmoothMap, Derivative, Composition, HomDerivative
from geomkfac.maps.linear import LinearMap
from geomkfac.maps.affine import AffineMap, AffineMaps, Evaluation
from geomkfac.maps.coordinatewise import CoordinatewiseMap
from geomkfac.maps.generic import GenericMap
__all__ = ["SmoothMap", "Derivative", "Composition", "HomDerivative", "LinearMap", "AffineMap", "AffineMaps", "Evaluation", "CoordinatewiseMap", "GenericMap"]
