"""One tree of errors; each is also the standard exception that a caller would expect.

A message says what was required, what came, and what to do.
"""

from __future__ import annotations

LONGEST_MESSAGE = 2000
"""Characters of a message; of a longer one the middle is left out."""


class GeomkfacError(Exception):
    """Root of everything that geomkfac raises on purpose."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(_shortened(one) if isinstance(one, str) else one for one in arguments))


class SpaceMismatchError(GeomkfacError, TypeError):
    """Elements of different spaces were combined, or of the wrong sort of space."""


class FrameError(GeomkfacError, ValueError):
    """A frame is missing, or belongs to another space."""


class ShapeError(GeomkfacError, ValueError):
    """An array has the wrong shape."""


class KindError(GeomkfacError, TypeError):
    """Kinds of scalars, dtypes or array libraries were mixed, or the kind cannot do what was asked."""


class ValuesError(GeomkfacError, ValueError):
    """An array of the right shape holds values that it must not hold."""


class DivisionByZeroError(GeomkfacError, ZeroDivisionError):
    """A scalar that must be invertible is zero."""


class SingularMatrixError(GeomkfacError, ValueError):
    """A matrix that must be invertible is not."""


class NotPositiveError(GeomkfacError, ValueError):
    """A form or matrix that must be positive (semi)definite is not."""


class ConditioningError(GeomkfacError, ValueError):
    """A floating-point answer would have no correct digit."""


class DegenerateMetricError(GeomkfacError, ValueError):
    """A metric is degenerate where a nondegenerate one is required."""


class NotInRangeError(GeomkfacError, ValueError):
    """A covector does not lie in the range of a degenerate metric."""


class InexactEqualityError(GeomkfacError, TypeError):
    """``==`` was asked of floating-point elements."""


class FileFormatError(GeomkfacError, ValueError):
    """A file is missing, truncated, or holds something else than it should."""


class UnknownNameError(GeomkfacError, KeyError):
    """A name is not one of those known."""

    def __str__(self) -> str:
        return Exception.__str__(self)


class VacuousCheckError(GeomkfacError, ValueError):
    """A check of a statement could not have failed, so that its passing is no evidence."""


class MissingExtraError(GeomkfacError, ImportError):
    """An optional dependency is not installed."""


class MemoryLimitError(GeomkfacError, ValueError):
    """A limit on memory leaves no room for what must stand in it."""


class WorkerError(GeomkfacError, RuntimeError):
    """Workers died, again and again, with the same data in hand."""


class WorkerLostWarning(RuntimeWarning):
    """Workers died; their work was done again elsewhere, more slowly."""


class DeviceError(GeomkfacError, RuntimeError):
    """A device is missing, or not the one that computes."""


class DeviceMemoryError(GeomkfacError, MemoryError):
    """A device, or the host, has no memory left for the data that were taken at a time."""


def _shortened(message: str) -> str:
    """A message that can be read: it may name a space of a thousand factors, whose name lists them all."""
    if len(message) <= LONGEST_MESSAGE:
        return message
    head, tail = LONGEST_MESSAGE // 2, LONGEST_MESSAGE // 4
    return f"{message[:head]} ... ({len(message) - head - tail} characters left out) ... {message[-tail:]}"
