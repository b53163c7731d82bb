"""Optimizers that stand at the same groups, as classes with a letter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from geomkfac.display.audit.order import Order, Verdicts


@final
@dataclass(frozen=True, slots=True)
class Profile:
    """Optimizers whose largest invariant groups are the same.

    Attributes
    ----------
    letter : A, B, ..., Z, AA, ...; the profile with most optimizers first
    largest : the groups at which they stand
    optimizers : their names
    """

    letter: str
    largest: tuple[str, ...]
    optimizers: tuple[str, ...]


def profiles(order: Order, verdicts: Mapping[str, Verdicts]) -> tuple[Profile, ...]:
    """All optimizers by where they stand, the largest class first; each is in exactly one."""
    classes: dict[tuple[str, ...], list[str]] = {}
    for optimizer, found in verdicts.items():
        kept = [group for group in order.names if found[group] == "invariant"]
        classes.setdefault(order.largest(kept), []).append(optimizer)
    ranked = sorted(classes.items(), key=lambda item: -len(item[1]))
    return tuple(Profile(_letter(index), largest, tuple(names)) for index, (largest, names) in enumerate(ranked))


def _letter(index: int) -> str:
    rest, last = divmod(index, 26)
    return (_letter(rest - 1) if rest else "") + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[last]


def standing(order: Order, profile: Profile) -> str:
    """Where a profile stands, in words: kinds of change with their places, then the groups that have no place."""
    places = order.places()
    found: dict[str, list[str]] = {}
    for name in profile.largest:
        for place, kinds in places.items():
            if name in kinds:
                found.setdefault(kinds[name], []).append(place)
    by_places: dict[str, list[str]] = {}
    for kind, where in found.items():
        everywhere = len(where) == len(places) > 1
        by_places.setdefault("everywhere" if everywhere else ", ".join(where), []).append(kind)
    parts = [f"{', '.join(kinds)} ({where})" for where, kinds in by_places.items()]
    parts += [name for name in profile.largest if not any(name in kinds for kinds in places.values())]
    return "at " + "; ".join(parts) if parts else "at none of these groups"
