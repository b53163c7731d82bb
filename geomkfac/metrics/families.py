"""The output families, and finding them by name."""

from __future__ import annotations

from collections.abc import Callable

from geomkfac.metrics.bernoulli import Bernoulli
from geomkfac.metrics.categorical import Categorical
from geomkfac.metrics.gaussian import Gaussian
from geomkfac.metrics.output_family import OutputFamily
from geomkfac.names import look_up

__all__ = ["FAMILIES", "Bernoulli", "Categorical", "Gaussian", "OutputFamily", "family"]

FAMILIES: dict[str, Callable[[], OutputFamily]] = {
    "categorical": Categorical,
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
}
"""What makes the family of each name, with nothing further given (a Gaussian has unit covariance)."""


def family(name_or_object: str | OutputFamily) -> OutputFamily:
    """The output family of that name, or the object itself.

    Raises
    ------
    UnknownNameError
        For any other name; it lists those known, and the nearest.

    Examples
    --------
    >>> family("categorical")
    Categorical()
    """
    if isinstance(name_or_object, OutputFamily):
        return name_or_object
    return look_up("output family", name_or_object, FAMILIES)()
