"""What is made once: results that an object keeps as long as it lives, and objects that a table holds while they live.

No thread waits for a result: two may compute the same one at once, and both get what was stored first.  So a space, a
frame or a factorisation is one object for all threads.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, MutableMapping
from functools import wraps
from threading import RLock
from typing import Any, TypeVar, TypeVarTuple, final

Key = TypeVar("Key")
Result = TypeVar("Result")
Owner = TypeVar("Owner")
Arguments = TypeVarTuple("Arguments")

_MAKING = RLock()
"""Held while a table is looked at for a second time; what is made may look for its own parts meanwhile."""


@final
class Kept(dict[Hashable, Any]):
    """Results of an object's `kept` methods, by name: its attribute ``_kept``.

    They stay behind where the object is pickled or copied deeply: factorisations are larger than what they were
    made from, and cheap beside a transfer.
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return Kept, ()


def kept(method: Callable[[Owner, *Arguments], Result]) -> Callable[[Owner, *Arguments], Result]:
    """A method whose result is computed once for each list of arguments, and lives as long as its owner.

    The owner is immutable and has an attribute ``_kept``, a `Kept`; arguments are positional and hashable.

    Examples
    --------
    >>> class Circle:
    ...     def __init__(self, radius):
    ...         self.radius, self._kept = radius, Kept()
    ...
    ...     @kept
    ...     def area(self):
    ...         print("computed")
    ...         return 3 * self.radius**2
    >>> circle = Circle(2)
    >>> circle.area(), circle.area()
    computed
    (12, 12)
    """
    name = method.__name__

    @wraps(method)
    def once(owner: Any, *arguments: *Arguments) -> Result:
        key = (name, *arguments) if arguments else name
        results: dict[Hashable, Result] = owner._kept
        if key in results:
            return results[key]
        return results.setdefault(key, method(owner, *arguments))

    return once


def interned(table: MutableMapping[Key, Result], key: Key, make: Callable[[], Result]) -> Result:
    """What stands in `table` under `key`; where nothing does, what ``make()`` gives, for all threads.

    Parameters
    ----------
    table : perhaps one that forgets what nobody else holds, a ``WeakValueDictionary``
    """
    known = table.get(key)
    if known is None:
        with _MAKING:
            known = table.get(key)
            if known is None:
                known = table[key] = make()
    return known
