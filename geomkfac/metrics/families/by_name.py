"""The output families, and finding them by name."""

from __future__ import annotations

from collections.abc import Callable

from geomkfac.metrics.families.bernoulli import Bernoulli
from geomkfac.metrics.families.categorical import Categorical
from geomkfac.metrics.families.gaussian import Gaussian
from geomkfac.metrics.families.heteroscedastic import HeteroscedasticGaussian
from geomkfac.metrics.families.output_family import OutputFamily
from geomkfac.metrics.families.poisson import Poisson
from geomkfac.metrics.families.reduced_categorical import ReducedCategorical
from geomkfac.names import look_up

FAMILIES: dict[str, Callable[[], OutputFamily]] = {
    "categorical": Categorical,
    "reduced_categorical": ReducedCategorical,
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "heteroscedastic_gaussian": HeteroscedasticGaussian,
    "poisson": Poisson,
}
"""What makes the family of each name, with nothing further given (a Gaussian has unit covariance).

`SideBySide` is not among them: it needs parts.
"""


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
