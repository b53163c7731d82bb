"""Several families at once, each on coordinates of its own: a network with several outputs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.arrays.random.draws import Draws
from geomkfac.errors import KindError, ShapeError
from geomkfac.metrics.families.output_family import OutputFamily, sample_weights
from geomkfac.required import listed, shown
from geomkfac.spaces.samples.targets import parts_of


@final
@dataclass(frozen=True, slots=True, init=False)
class SideBySide(OutputFamily):
    """Independent targets given z: the first family reads the first coordinates, the next one those that follow.

    ``SideBySide(Categorical(), Gaussian(), dimensions=(3, 2))`` takes a tuple of two arrays as targets;
    ``SideBySide(digit=Categorical(), angle=Gaussian(), dimensions=(3, 2))`` a dict of them.

    Parameters
    ----------
    parts, named : the families in order; all with names, or none
    dimensions : how many coordinates of the outputs each one takes

    Notes
    -----
    The loss is the sum of the parts' losses, and the Fisher metric the direct sum of theirs: exactly so for
    fisher='exact', in the mean for drawn targets.  Each part draws from a source of its own.

    Raises
    ------
    KindError, ShapeError
        If a part is no family, or cannot have so many coordinates.

    Examples
    --------
    >>> from geomkfac.metrics import Categorical, Gaussian
    >>> SideBySide(Categorical(), Gaussian(), dimensions=(3, 2)).name
    'side_by_side(categorical: 3, gaussian: 2)'
    """

    parts: tuple[OutputFamily, ...]
    dimensions: tuple[int, ...]
    names: tuple[str, ...] | None

    def __init__(self, *parts: OutputFamily, dimensions: Sequence[int], **named: OutputFamily) -> None:
        if bool(parts) == bool(named):
            raise ShapeError(
                "families side by side have all names, or none.\n  required: one family or more\n"
                f"  came    : {len(parts)} without and {len(named)} with a name\n"
                "Write SideBySide(Categorical(), Gaussian(), dimensions=(3, 2)), or name them all."
            )
        chosen, sizes = (*parts, *named.values()), tuple(listed("the dimensions", dimensions))
        for part in chosen:
            if not isinstance(part, OutputFamily) or isinstance(part, SideBySide):
                raise KindError(
                    "side by side stand output families without a frame.\n  required: such as Categorical()\n"
                    f"  came    : {part!r}\nPlace the whole with .on(frame); name the parts of parts one by one."
                )
        if len(sizes) != len(chosen):
            raise ShapeError(
                "every family takes its own coordinates.\n"
                f"  required: {len(chosen)} dimensions, one for each family\n  came    : {sizes}"
            )
        for part, size in zip(chosen, sizes, strict=True):
            if isinstance(size, bool) or not isinstance(size, int):
                raise KindError(f"a dimension must be an int, not {shown(size)}.")
            part.check_dimension(size)
        object.__setattr__(self, "parts", chosen)
        object.__setattr__(self, "dimensions", sizes)
        object.__setattr__(self, "names", tuple(named) or None)

    @property
    def name(self) -> str:
        """Names and dimensions of the parts."""
        labels = self.names or tuple(part.name for part in self.parts)
        each = (f"{label}: {size}" for label, size in zip(labels, self.dimensions, strict=True))
        return f"side_by_side({', '.join(each)})"

    def check_dimension(self, m: int) -> None:
        if m != sum(self.dimensions):
            raise ShapeError(
                "the families side by side do not fit the outputs.\n"
                f"  required: dimension {' + '.join(map(str, self.dimensions))} = {sum(self.dimensions)}\n"
                f"  came    : {m}\nPass the dimensions that the parts of the outputs have."
            )

    def check_targets(self, ns: Namespace, targets: Any, m: int) -> tuple[Array, ...]:
        """The targets of the parts, in order.

        Parameters
        ----------
        targets : tuple of arrays with N rows; a dict with the parts' names, where they have some
        """
        given = self._in_order(targets)
        checked = tuple(
            part.check_targets(ns, own, size)
            for part, own, size in zip(self.parts, given, self.dimensions, strict=True)
        )
        counts = [own.shape[0] for own in checked]
        if len(set(counts)) > 1:
            raise ShapeError(f"every part has one target for each datum; the parts have {counts}.")
        return checked

    def loss(self, ns: Namespace, z: Array, targets: Any) -> Array:
        """The sum of the parts' losses, shape (*batch)."""
        total: Array = 0
        for part, own, rows in zip(self.parts, self._split(z), targets, strict=True):
            total = total + part.loss(ns, own, rows)
        return total

    def loss_gradient(self, ns: Namespace, z: Array, targets: Any) -> Array:
        triples = zip(self.parts, self._split(z), targets, strict=True)
        return ns.concat([part.loss_gradient(ns, own, rows) for part, own, rows in triples], axis=-1)

    def fisher_factor(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        """The parts' covectors, zero on the coordinates of the others: K is the sum of the parts'."""
        pairs = zip(self.parts, self._split(z), strict=True)
        factors = [part.fisher_factor(ns, own) for part, own in pairs]
        covectors = [self._widened(ns, index, rows) for index, (_, rows) in enumerate(factors)]
        return ns.concat([weights for weights, _ in factors]), ns.concat(covectors)

    def sampled_factor(
        self, ns: Namespace, z: Array, draws: Draws, first: int, samples: int
    ) -> tuple[Array, Array]:
        rows = [
            part.sampled_factor(ns, own, draws.part(index), first, samples)[1]
            for index, (part, own) in enumerate(zip(self.parts, self._split(z), strict=True))
        ]
        return sample_weights(ns, samples, z.shape[0]), ns.concat(rows, axis=-1)

    def predictions(self, ns: Namespace, z: Array) -> Array:
        """Those of the parts, one after the other along the last axis."""
        pairs = zip(self.parts, self._split(z), strict=True)
        return ns.concat([part.predictions(ns, own) for part, own in pairs], axis=-1)

    def radical(self, ns: Namespace, m: int) -> Array:
        """The parts' null directions, zero on the coordinates of the others."""
        pairs = enumerate(zip(self.parts, self.dimensions, strict=True))
        return ns.concat([self._widened(ns, index, part.radical(ns, size)) for index, (part, size) in pairs])

    def _split(self, z: Array) -> list[Array]:
        """The coordinates of each part, along the last axis."""
        found, start = [], 0
        for size in self.dimensions:
            found.append(z[..., start : start + size])
            start += size
        return found

    def _widened(self, ns: Namespace, index: int, rows: Array) -> Array:
        """Rows (*batch, size) on the coordinates of part `index`, zero on the others."""
        batch, before = tuple(rows.shape)[:-1], sum(self.dimensions[:index])
        after = sum(self.dimensions) - before - self.dimensions[index]
        return ns.concat([ns.zeros((*batch, before)), rows, ns.zeros((*batch, after))], axis=-1)

    def _in_order(self, targets: Any) -> tuple[Any, ...]:
        if self.names is not None and isinstance(targets, Mapping) and set(targets) == set(self.names):
            return tuple(targets[name] for name in self.names)
        if self.names is None and isinstance(targets, tuple) and len(targets) == len(self.parts):
            return targets
        required = f"a tuple of {len(self.parts)} arrays" if self.names is None else f"a dict of arrays {self.names}"
        several = isinstance(targets, tuple | Mapping)
        came = ", ".join(name for name, _ in parts_of(targets)) if several else type(targets).__name__
        raise ShapeError(
            "every family side by side has targets of its own.\n"
            f"  required: {required}\n  came    : {came or 'nothing'}\n"
            "Pass them so to sample(X, y); each is an array with one row for each datum."
        )
