"""How far a pass over data has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pass over data has come; ``print`` shows it as one line.

    Attributes
    ----------
    done : data that are done
    total : all data; None where they are streamed, and nobody has counted
    seconds : since this run began
    resumed : how many of `done` an earlier run had done

    Examples
    --------
    >>> print(Progress(done=3000, total=12000, seconds=20.0))
    3,000 of 12,000 data; 20 s, about 60 s left
    """

    done: int
    total: int | None
    seconds: float
    resumed: int = 0

    @property
    def remaining(self) -> float | None:
        """Seconds until the end, at the rate of this run; None where the total or the rate is not known."""
        fresh = self.done - self.resumed
        if self.total is None or fresh <= 0:
            return None
        return (self.total - self.done) * self.seconds / fresh

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {self.total:,}"
        left = "" if self.remaining is None else f", about {_duration(self.remaining)} left"
        return f"{self.done:,}{of} data; {_duration(self.seconds)}{left}"


def _duration(seconds: float) -> str:
    """In seconds below two minutes, in minutes below two hours, else in hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
