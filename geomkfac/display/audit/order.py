"""The order between groups, as plain data that is checked once: components, closures and largest elements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import product, takewhile
from typing import TypeAlias, final

from geomkfac.errors import UnknownNameError, ValuesError

Above: TypeAlias = Mapping[str, Sequence[Sequence[str]]]
"""{group: alternatives}; each alternative is groups whose joint invariance implies this one's."""
Verdicts: TypeAlias = Mapping[str, str]
"""{group: one of VERDICTS}."""

VERDICTS = ("invariant", "first order", "broken", "inconclusive", "left out")
"""What may be said of a group; ``left out`` where it does not act."""


@final
@dataclass(frozen=True, slots=True)
class Order:
    """Groups and what is above them, without a cycle.

    Attributes
    ----------
    above : {group: alternatives}; names in the order to be shown
    descending : the names, each after all that are above it
    """

    above: Mapping[str, tuple[tuple[str, ...], ...]]
    descending: tuple[str, ...]

    @classmethod
    def of(cls, above: Above) -> Order:
        """The order, checked.

        Raises
        ------
        ValuesError : it is empty, names no groups above where it should, or goes round in a circle.
        UnknownNameError : a group above is not one of the groups.
        """
        if not above:
            raise ValuesError("an order between groups needs at least one group; none came.")
        plain = {str(name): tuple(tuple(alternative) for alternative in found) for name, found in above.items()}
        for name, alternatives in plain.items():
            if any(isinstance(one, str) or not one for one in above[name]):
                raise ValuesError(
                    f"what is above {name!r} must be tuples of names, not {above[name]!r}.\n"
                    "Write (('larger group',),) for one larger group, (('one', 'other'),) where both are needed."
                )
            unknown = [one for alternative in alternatives for one in alternative if one not in plain]
            if unknown:
                raise UnknownNameError(
                    f"above {name!r} stands {unknown[0]!r}, which is not one of the groups.\n"
                    f"  groups: {', '.join(plain)}\nAdd it to the order, with () if nothing is above it."
                )
        sorter = TopologicalSorter({name: [one for alt in alts for one in alt] for name, alts in plain.items()})
        try:
            descending = tuple(sorter.static_order())
        except CycleError as error:
            raise ValuesError(
                "the order between groups goes round in a circle: " + ", then ".join(error.args[1]) + ".\n"
                "A group is not above itself; take one of these relations out."
            ) from None
        return cls(plain, descending)

    @property
    def names(self) -> tuple[str, ...]:
        """All groups."""
        return tuple(self.above)

    def parents(self, name: str) -> tuple[str, ...]:
        """The next larger groups, each of which alone implies this one."""
        return tuple(dict.fromkeys(one[0] for one in self.above[name] if len(one) == 1))

    def joints(self, name: str) -> tuple[tuple[str, ...], ...]:
        """Sets of groups that imply this one together."""
        return tuple(one for one in self.above[name] if len(one) > 1)

    def implied(self, kept: Collection[str]) -> frozenset[str]:
        """All groups to which something invariant to `kept` is invariant, `kept` among them."""
        found = set(kept)
        for name in self.descending:
            if any(found.issuperset(alternative) for alternative in self.above[name]):
                found.add(name)
        return frozenset(found)

    def largest(self, kept: Collection[str]) -> tuple[str, ...]:
        """The groups among `kept` that the others do not imply: where an optimizer stands."""
        everything = frozenset(kept)
        return tuple(
            name for name in self.names if name in everything and name not in self.implied(everything - {name})
        )

    def contradicted(self, verdicts: Verdicts) -> tuple[str, ...]:
        """Groups that are broken though invariance to larger ones implies them: one of these verdicts is wrong."""
        sure = self.implied([name for name in self.names if verdicts.get(name) == "invariant"])
        return tuple(name for name in self.names if name in sure and verdicts.get(name) in ("broken", "first order"))

    def below(self, name: str) -> tuple[str, ...]:
        """The next smaller groups, also those that it implies together with another."""
        return tuple(one for one in self.names if any(name in alternative for alternative in self.above[one]))

    def larger(self, name: str) -> frozenset[str]:
        """All groups that imply this one, alone or together with others."""
        nearest = {one for alternative in self.above[name] for one in alternative}
        return frozenset(nearest.union(*(self.larger(one) for one in nearest)))

    def components(self) -> tuple[tuple[str, ...], ...]:
        """Groups that are joined by relations of one with one, in the order of their first members."""
        joined = {name: {name} for name in self.names}
        for name in self.names:
            for parent in self.parents(name):
                whole = joined[name] | joined[parent]
                joined |= dict.fromkeys(whole, whole)
        return tuple(dict.fromkeys(tuple(one for one in self.names if one in joined[name]) for name in self.names))

    def places(self) -> dict[str, dict[str, str]]:
        """{place: {group: kind of change}} of related groups whose names begin alike: 'input sign', 'input affine'."""
        found: dict[str, dict[str, str]] = {}
        for component in self.components():
            place = prefix(component)
            if len(component) > 1 and place and place not in found:
                found[place] = {name: name[len(place) :].strip() for name in component}
        return found

    def restricted(self, names: Iterable[str]) -> Order:
        """The order between some of the groups: what was implied through the others still is."""
        kept = frozenset(names)
        missing = sorted(kept - set(self.names))
        if missing:
            raise UnknownNameError(
                f"{missing[0]!r} is not one of the groups of this order.\n  groups: {', '.join(self.names)}"
            )

        def through(name: str) -> list[tuple[str, ...]]:
            """Alternatives above a group, of names that are kept."""
            return [
                tuple(dict.fromkeys(one for part in parts for one in part))
                for alternative in self.above[name]
                for parts in product(*([(one,)] if one in kept else through(one) for one in alternative))
            ]

        return Order.of({name: tuple(dict.fromkeys(through(name))) for name in self.names if name in kept})


def prefix(names: Sequence[str]) -> str:
    """The words with which all names begin, before their last: 'input' of 'input sign' and 'input affine'."""
    columns = zip(*(name.split()[:-1] for name in names), strict=False)
    return " ".join(words[0] for words in takewhile(lambda words: len(set(words)) == 1, columns))


def counted(verdicts: Iterable[str]) -> dict[str, int]:
    """{verdict: how often it came}, of those that came."""
    found = Counter(verdicts)
    return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}


def checked_verdicts(order: Order, found: Mapping[str, Verdicts]) -> dict[str, dict[str, str]]:
    """Verdicts of every optimizer on every group, in the order's order.

    Raises
    ------
    ValuesError : no optimizer; a group without a verdict; a verdict that is none of VERDICTS.
    UnknownNameError : a verdict on something that is no group of the order.
    """
    if not found:
        raise ValuesError("a picture of verdicts needs at least one optimizer; none came.")
    for optimizer, verdicts in found.items():
        missing = [name for name in order.names if name not in verdicts]
        if missing:
            raise ValuesError(
                f"no verdict of {optimizer!r} on {', '.join(map(repr, missing))}.\n"
                "  required: one for every group of the order; 'left out' where it does not act\n"
                "Audit these groups too, or show the order between those that were audited alone:\n"
                "  Order.of(order).restricted(names).above"
            )
        for group, verdict in verdicts.items():
            if group not in order.above:
                raise UnknownNameError(
                    f"{optimizer!r} has a verdict on {group!r}, which is not one of the groups.\n"
                    f"  groups: {', '.join(order.names)}"
                )
            if verdict not in VERDICTS:
                raise ValuesError(
                    f"{optimizer!r} has the verdict {verdict!r} on {group!r}.\n  required: one of {', '.join(VERDICTS)}"
                )
    return {optimizer: {name: verdicts[name] for name in order.names} for optimizer, verdicts in found.items()}
