"""The output families, and finding them by name.

A family is registered in the file that defines it (`registered`), and all that lists families reads that from here:
the command line's help, and the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from geomkfac.metrics.families.output_family import OutputFamily
from geomkfac.names import enter, look_up

F = TypeVar("F", bound=OutputFamily)

FAMILIES: dict[str, Callable[[], OutputFamily]] = {}
"""What makes the family of each name, with nothing further given (a Gaussian has unit covariance).

`SideBySide` is not among them: it needs parts.
"""


def registered(made: type[F]) -> type[F]:
    """The same class, which `family` finds by its name from now on; it is made with nothing given.

    Raises
    ------
    ValuesError : another one has its name.
    """
    enter("output family", made().name, made, FAMILIES)
    return made


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
