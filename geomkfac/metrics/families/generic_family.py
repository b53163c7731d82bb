"""The generic output model: free covectors, so that what holds with it holds for every loss and metric.

Over an exact kind the loss differentials and the covectors of the output metric are drawn at random,
once for each batch of outputs met, whatever frame that batch is stored in.  Weights are drawn too.
Source: LG R3.11; docs/evidence.md.
"""

from __future__ import annotations

from typing import Any, final

from geomkfac.arrays.array import Array, check_random_source
from geomkfac.arrays.random.draws import Draws
from geomkfac.counts import checked_count
from geomkfac.errors import FrameError, KindError, SpaceMismatchError
from geomkfac.metrics.families.output_family import OutputModel
from geomkfac.metrics.tensors.covectors import CovectorTensor
from geomkfac.required import check_type, shown
from geomkfac.spaces import AffineSpace, Frame, Point, Vector


@final
class GenericFamily(OutputModel):
    """A loss and an output metric of which nothing is known but their values at the outputs met.

    Parameters
    ----------
    frame : frame of the output space, in which covectors are drawn
    rng : numpy.random.Generator
    covectors : K, the number of covectors of the metric at each output

    Raises
    ------
    KindError : the outputs are not over an exact kind.
    """

    __slots__ = ("_count", "_met", "_rng", "frame", "space")

    def __init__(self, frame: Frame, rng: Any, covectors: int) -> None:
        check_type("what a generic family draws covectors in", frame, Frame, error=FrameError)
        check_random_source(rng)
        if not isinstance(frame.space, AffineSpace) or not frame.space.kind.is_exact:
            raise KindError(f"a generic family draws free covectors over an exact kind, and {frame.space!r} is not.")
        self.frame, self._rng, self._count = frame, rng, checked_count("the number of covectors", covectors)
        self.space: AffineSpace = frame.space
        self._met: list[tuple[Point, Vector, CovectorTensor]] = []

    def _at(self, outputs: Point) -> tuple[Point, Vector, CovectorTensor]:
        if not isinstance(outputs, Point) or outputs.space is not self.space:
            raise SpaceMismatchError(f"a family on {self.space!r} takes points of it.\n  came: {shown(outputs)}")
        for entry in self._met:
            if entry[0].batch_shape == outputs.batch_shape and entry[0] == outputs:
                return entry
        ns, batch, m = outputs.namespace, outputs.batch_shape, self.space.dim
        dual, frame = self.space.direction.dual, self.frame.linear.dual
        differential: Vector = dual.from_components(frame, ns.random(self._rng, (*batch, m)), ns)
        rows: Vector = dual.from_components(frame, ns.random(self._rng, (self._count, *batch, m)), ns)
        weights = ns.random(self._rng, (self._count, *batch))
        entry = (outputs, differential, CovectorTensor(weights, rows, "generic"))
        self._met.append(entry)
        return entry

    def loss(self, outputs: Point, targets: Any) -> Array:
        """Refused: a generic loss has differentials, and no values."""
        raise KindError("a generic family has differentials and a metric, and no loss values.")

    def differential(self, outputs: Point, targets: Any) -> Vector:
        return self._at(outputs)[1]

    def fisher(self, outputs: Point) -> CovectorTensor:
        return self._at(outputs)[2]

    def sampled(self, outputs: Point, draws: Draws, first: int, samples: int) -> CovectorTensor:
        raise KindError("a generic family draws no targets; use fisher='exact'.")
