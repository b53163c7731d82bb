"""Results that an immutable object computes once and keeps, such as factorisations."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast, final

Result = TypeVar("Result")


@final
class Kept:
    """A private slot of lazily computed results, each a function of the frozen object alone.

    Two threads may compute the same result at once; both then see the one that was stored first.
    """

    __slots__ = ("_results",)

    def __init__(self) -> None:
        self._results: dict[Hashable, Any] = {}

    def get(self, name: Hashable, compute: Callable[[], Result]) -> Result:
        """The result of this `name`, from ``compute()`` the first time."""
        if name not in self._results:
            return cast(Result, self._results.setdefault(name, compute()))
        return cast(Result, self._results[name])

    def __reduce__(self) -> tuple[Any, ...]:
        # Factorisations are larger than what they were made from, and cheap beside a transfer.
        return Kept, ()
