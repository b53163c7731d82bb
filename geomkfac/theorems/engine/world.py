"""Where a check happens: sizes, a kind of scalar, random draws, and perhaps one planted fault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from geomkfac.arrays import symbolic, symbols
from geomkfac.arrays.array import Array, RandomSource
from geomkfac.arrays.namespace import Kind, Namespace
from geomkfac.counts import is_count
from geomkfac.errors import DegenerateMetricError, ValuesError

CONDITION = 10.0
"""The largest condition number of a random change of basis in floating point."""


@final
@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of a random instance.

    Parameters
    ----------
    widths : dimensions of the layers (n_0, ..., n_L), or of the spaces that occur
    data : N, the number of data
    covectors : K, the number of covectors of the output metric at each datum
    steps : how many updates follow each other
    extra : other sizes by name (locations, times, ...)

    Raises
    ------
    ValuesError : a size is no positive integer, or there is no width.
    """

    widths: tuple[int, ...]
    data: int = 1
    covectors: int = 1
    steps: int = 1
    extra: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        numbers = [*self.widths, self.data, self.covectors, self.steps, *(value for _, value in self.extra)]
        if not self.widths or not all(map(is_count, numbers)):
            raise ValuesError(
                "sizes are positive integers.\n  required: one width or more, and every size 1 or more\n"
                f"  came    : widths {self.widths}, data {self.data}, covectors {self.covectors}, steps {self.steps}, "
                f"extra {dict(self.extra)}\nFor instance Sizes((3, 4, 2), data=6, covectors=2)."
            )

    def __str__(self) -> str:
        parts = ["-".join(map(str, self.widths)), f"{self.data} data", f"{self.covectors} covectors"]
        parts += [f"{self.steps} steps"] if self.steps > 1 else []
        return ", ".join([*parts, *(f"{value} {name}" for name, value in self.extra)])

    def __getitem__(self, name: str) -> int:
        return dict(self.extra)[name]


@final
class World:
    """The kind of scalar and the random draws of one run of a check.

    Parameters
    ----------
    kind : kind of scalar; over exact ones every draw is free
    rng : numpy.random.Generator
    sizes : of the instance
    fault : the fault to plant, or None
    jitter : a second generator, by which every floating-point draw is changed in its last digit
    namespace : of the arrays drawn, where there are several of the kind: of another array library

    Attributes
    ----------
    ns : the namespace of the kind
    consulted : the faults that the construction has asked for
    drawn : what was drawn here, in order: names (where one was given) and shapes
    """

    __slots__ = ("_fault", "_jitter", "consulted", "drawn", "kind", "ns", "rng", "sizes")

    def __init__(
        self,
        kind: Kind,
        rng: RandomSource,
        sizes: Sizes,
        fault: str | None = None,
        jitter: RandomSource | None = None,
        namespace: Namespace | None = None,
    ) -> None:
        self.kind, self.rng, self.sizes = kind, rng, sizes
        self.ns: Namespace = kind.default_namespace if namespace is None else namespace
        self._fault, self._jitter = fault, jitter
        self.consulted: set[str] = set()
        self.drawn: list[tuple[str | None, tuple[int, ...]]] = []

    @property
    def is_symbolic(self) -> bool:
        """Whether draws are symbols."""
        return self.kind is symbolic

    @property
    def is_exact(self) -> bool:
        """Whether nothing is rounded, and activations are generic."""
        return self.kind.is_exact

    def planted(self, fault: str) -> bool:
        """Whether this run has that fault; every fault that a construction knows is asked for here."""
        self.consulted.add(fault)
        return fault == self._fault

    def assume(self, hypothesis: str, holds: bool) -> None:
        """Draw the instance again where it does not meet a hypothesis.

        Raises
        ------
        DegenerateMetricError : which the runner answers with a new draw, and counts.
        """
        if not holds:
            raise DegenerateMetricError(
                f"the instance drawn does not meet the hypothesis.\n  required: {hypothesis}\n"
                "  came    : one that does not\nDraw again, or give the check larger sizes."
            )

    def for_frames(self, x: Array) -> Array:
        """The same numbers in the library in which frames keep theirs."""
        return self.kind.default_namespace.cast(x)

    # -- draws -------------------------------------------------------------------------------------
    def array(self, *shape: int, name: str | None = None) -> Array:
        """Random entries: uniform over GF(p), small fractions over Q, standard normal in floating point.

        With symbols they are fresh ones, called `name` and indexed from 1; real numbers, of which nothing
        else is assumed.
        """
        self.drawn.append((name, shape))
        if self.is_symbolic:
            return symbols(self.rng, shape, name)
        return self._jittered(self.ns.random(self.rng, shape))

    def _jittered(self, drawn: Array) -> Array:
        """The same, changed in the last digit where this world is a perturbed one."""
        if self._jitter is None or self.is_exact:
            return drawn
        ordered = self.ns.ordered("rounding")
        return drawn * (1.0 + self.ns.epsilon * ordered.sign(self.ns.random(self._jitter, tuple(drawn.shape))))

    def positive(self, *shape: int, name: str | None = None) -> Array:
        """Random numbers ``1 + x^2``, positive wherever that has a meaning; with symbols, positive symbols."""
        if self.is_symbolic:
            self.drawn.append((name, shape))
            return symbols(self.rng, shape, name, positive=True)
        x = self.array(*shape, name=name)
        return x * x + 1

    def number(self, name: str | None = None) -> Array:
        """One random number, an array of shape ()."""
        return self.array(name=name) if self.is_symbolic else self.array(1, name=name)[0]

    def invertible(self, n: int, name: str | None = None) -> Array:
        """A random matrix (n, n), of condition number at most `CONDITION` in floating point."""
        if self.is_exact:
            return self.array(n, n, name=name)
        self.drawn.append((name, (n, n)))
        ordered = self.ns.ordered("a random basis of bounded condition number")
        left, _ = ordered.qr(self._jittered(self.ns.random(self.rng, (n, n))))
        right, _ = ordered.qr(self._jittered(self.ns.random(self.rng, (n, n))))
        stretch = 1.0 + (CONDITION - 1.0) * ordered.uniform(self.rng, (n,))
        return (left * stretch) @ right
