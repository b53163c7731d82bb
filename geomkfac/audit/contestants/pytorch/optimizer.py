"""Training runs of a PyTorch optimizer on a twin, and how one finds out in what way it wants to be run.

On a small network of geomkfac's own, forms of parameters and ways to take a step are tried until one works; what
was found out is said in `TorchContestant.how`.  No source is read for it, and no list of optimizers is kept.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, final

import numpy as np

from geomkfac.arrays import LIBRARY_ON
from geomkfac.arrays.floats.devices import device_named
from geomkfac.audit.contestants.contestant import (
    ANYTHING,
    Contestant,
    UnauditableError,
    first_line,
    flat,
    import_torch,
)
from geomkfac.audit.contestants.pytorch.construction import FORMS, Maker, NotMadeError
from geomkfac.audit.contestants.pytorch.stepping import (
    BEFORE,
    BOTH,
    CLOSURE,
    FUSED,
    TWO_STEPS,
    USUAL,
    Setting,
    Trace,
    Way,
    traced,
)
from geomkfac.audit.contestants.pytorch.surroundings import alone, surrounded
from geomkfac.audit.contestants.pytorch.twin_loss import TwinLoss
from geomkfac.audit.twins.problem import random_problem
from geomkfac.audit.twins.storage import PLAIN, Arrays, Storage
from geomkfac.audit.twins.twin import Twin
from geomkfac.errors import DegenerateMetricError, SingularMatrixError, ValuesError
from geomkfac.names import look_up

TRIED = 3
"""Steps of a trial."""
STEPS = 10
"""Steps over which a rate must not diverge."""
REASON = 10.0
"""A loss that grew by this factor has left reason."""
LOWER = 8
"""How often a rate is lowered tenfold."""
LOST = SingularMatrixError, DegenerateMetricError, ValuesError
"""What the network raises where weights are not finite."""
NEAR = 1e-12
CHAOS = 1e7
"""Two runs whose first weights differ relatively by the one, and which part by more than the other times that."""
SHORTER = 16.0
IDLE = 50
"""Steps after which an optimizer that has not moved is one that does not."""


@final
class TorchContestant(Contestant):
    """A PyTorch optimizer, as a class or a function of parameters.

    Derivatives come from the twin.  Parameters are float64, new tensors too, and so is arithmetic that the optimizer
    does in narrower types.

    Parameters
    ----------
    make : called with parameters, and with ``lr=`` where it takes that
    rate : the learning rate; None for the optimizer's own default, lowered where a run of it diverges
    device : of its parameters; the twin's derivatives are computed on the host

    Raises
    ------
    DeviceError : PyTorch has no such device here.
    UnauditableError : no way was found to run it, or what it does in the end cannot be judged.
    """

    stores = True
    _base: float | None = None
    _idle = 0

    def __init__(
        self, make: Callable[..., Any], rate: float | None = None, name: str | None = None, device: str = "cpu"
    ) -> None:
        self._torch = import_torch()
        look_up("device", device, LIBRARY_ON)
        device_named("torch", device)
        self._make, self._asked, self._device = make, rate, device
        label: Any = make
        self.name = name or str(getattr(label, "__qualname__", label))
        try:
            self._maker = Maker(self._torch, make)
        except NotMadeError as error:
            raise UnauditableError(f"{self.name} cannot be made of parameters alone: {error}") from error
        self._setting, own = self._explored(rate)
        says = ["" if device == "cpu" else f"on {device}"]
        says += [*dict.fromkeys(self._maker.says), FORMS[self._setting.form], self._setting.way.says]
        if self._setting.graph:
            says.append("with exact second derivatives")
        if self._setting.grouped:
            says.append("in a process group of one")
        self.rate = self._base = own if rate is None else rate
        self._fixed = False
        self._idle = self._idles(self.rate or 0.0)
        if self.rate is None:
            says.append("it has no learning rate")
        if rate is None:
            self.rate = self._settled(own)
            if self.rate != own:
                reason = self._unreasonable(own or 0.0)
                says.append(f"at a rate of {self.rate:g}, as it {reason} at its default of {own:g}")
        says += self._examined(self.rate or 0.0)
        self.how = "; ".join(filter(None, says))
        self._layouts: dict[str, str] = {}

    def on(self, device: str) -> Contestant:
        return TorchContestant(self._make, self._asked, self.name, device)

    # -- running -------------------------------------------------------------------------------------------
    def run(self, twin: Twin, start: Arrays, *, rate: float, steps: int) -> list[list[tuple[Any, Any]]]:
        if self._fixed and self.rate is not None:
            rate = self.rate
        with self.errors_named():
            return self._traced(self._setting, twin, start, rate, self._idle + steps).weights[self._idle :]

    def unfit(self, storage: Storage) -> str:
        if storage is PLAIN:
            return ""
        if storage.name not in self._layouts:
            self._layouts[storage.name] = self._refused(storage)
        return self._layouts[storage.name]

    def _refused(self, storage: Storage) -> str:
        laid = storage.parameters([(np.zeros((2, 3)), np.zeros(2))])
        matrices = [part for part in laid if part.ndim == 2]
        if self._setting.form in ("matrices", "flagged") and not matrices:
            return "it takes matrices, and there are none in this layout"
        if self._setting.form == "matrices" and any(part.size != 6 for part in matrices):
            return "it takes matrices alone, and this layout puts biases into them"
        plain = _example()
        twin = Twin(plain.problem, plain.kappa, storage=storage)
        try:
            self._traced(self._setting, twin, twin.start, self.rate or 0.0, TRIED)
        except ANYTHING as error:
            return f"it cannot take this layout: {first_line(error)}"
        return ""

    def _traced(
        self, setting: Setting, twin: Twin, start: Arrays, rate: float, steps: int, *, watched: bool = False
    ) -> Trace:
        factor = rate / self._base if self._base and rate else 1.0
        asked = rate if self._maker.rated else None

        def made(parameters: list[Any]) -> Any:
            return self._maker(parameters, asked, setting.form, factor)

        loss = TwinLoss(self._torch, twin, self._device)
        return traced(loss, made, setting, start, steps, watched=watched, seed=self.seed)

    # -- finding out ---------------------------------------------------------------------------------------
    def _explored(self, rate: float | None) -> tuple[Setting, float | None]:
        """A setting in which steps can be taken, and the optimizer's own rate."""
        first: BaseException | None = None
        groups = False
        for grouped, wide, graph, form in itertools.product((False, True), (False, True), (False, True), FORMS):
            if grouped and not groups:
                continue
            setting = Setting(form=form, graph=graph, wide=wide, grouped=grouped)
            try:
                own = self._own_rate(setting)
                tried = rate if rate is not None else own
                return self._differentiable(self._way(setting, tried or 0.0), tried or 0.0), own
            except ANYTHING as error:
                first = first or error
                groups = groups or "process group" in str(error).lower()
        verb = "cannot take a step" if self._made else "cannot be made"
        advice = "" if self._made else (
            "\nAn optimizer is made of parameters, with lr= or a default of its own; an update rule goes in by "
            "on_rule(rule)."
        )  # fmt: skip
        raise UnauditableError(f"{self.name} {verb}: {first_line(first or NotMadeError())}{advice}") from first

    _made = False

    def _differentiable(self, setting: Setting, rate: float) -> Setting:
        """With derivatives that can be differentiated, where the optimizer does that when it can."""
        graph = replace(setting, graph=True)
        try:
            trace = self._traced(graph, _example(), _example().start, rate, TRIED)
        except ANYTHING:
            return setting
        return graph if trace.second else setting

    def _own_rate(self, setting: Setting) -> float | None:
        torch = self._torch
        with alone(torch, setting.grouped), surrounded(torch, torch.float64):
            parts = [torch.nn.Parameter(torch.zeros(shape, device=self._device)) for shape in ((2, 2), (2,))]
            own = self._maker.own_rate(parts, setting.form)
        self._made = True
        return own

    def _way(self, setting: Setting, rate: float) -> Setting:
        """The way to take steps: where `step(closure)` and `step()` differ, the closure means something."""
        twin, first = _example(), None
        found: dict[Way, Any] = {}
        for way in (*USUAL, TWO_STEPS, FUSED):
            if found and way not in USUAL:
                break
            try:
                trace = self._traced(replace(setting, way=way), twin, twin.start, rate, TRIED)
                found[way] = np.concatenate([flat(one) for one in trace.weights])
            except LOST:
                found[way] = np.array([np.nan])
            except ANYTHING as error:
                first = first or error
        if first is not None and not found:
            raise first

        def same(one: Way, other: Way) -> bool:
            return one in found and other in found and np.array_equal(found[one], found[other], equal_nan=True)

        if same(CLOSURE, BOTH) or same(CLOSURE, BEFORE):
            chosen = CLOSURE
        elif same(BOTH, BEFORE) or BOTH not in found:
            chosen = BEFORE if BEFORE in found else next(iter(found))
        else:
            chosen = BOTH
        return replace(setting, way=chosen)

    def _settled(self, own: float | None) -> float | None:
        """The largest of its default rate, a tenth of it, ... at which a run can be compared with another."""
        reason = self._unreasonable(own or 0.0)
        if not reason:
            return own
        for k in range(1, LOWER) if own else ():
            rate = float(f"{own * 10.0**-k:.6g}")  # type: ignore[operator]
            if not self._unreasonable(rate):
                return rate
        rates = f", at every rate from {own:g} down to {rate:g}" if own else ""
        raise UnauditableError(f"{self.name} {reason}: on a small network, in {STEPS} steps{rates}.")

    def _unreasonable(self, rate: float) -> str:
        """What a run at this rate does that none should; empty where it does not."""
        twin, rng = _example(), np.random.default_rng(3)
        near = [tuple(part * (1 + NEAR * rng.choice([-1.0, 1.0], part.shape)) for part in pair) for pair in twin.start]
        try:
            with self.errors_named("cannot take a step"):
                steps = self._idle + STEPS
                here = self._traced(self._setting, twin, twin.start, rate, steps).weights
                there = self._traced(self._setting, twin, near, rate, steps).weights
        except LOST:
            return "diverges"
        moved = flat(here[-1]) - flat(twin.start)
        if not np.all(np.isfinite(moved)):
            return "diverges"
        losses = [twin.loss_and_derivatives(one)[0] for one in here]
        if not max(losses) <= REASON * abs(twin.loss_and_derivatives(twin.start)[0]):
            return "diverges"
        parted = float(np.linalg.norm(moved - flat(there[-1]) + flat(near)))
        length = float(np.linalg.norm(moved))
        if parted > NEAR * CHAOS * length > 0:
            again = self._traced(self._setting, twin, twin.start, rate, steps).weights
            if not np.array_equal(flat(again[-1]), flat(here[-1])):
                raise UnauditableError(f"{self.name} is not deterministic: the same run gave other numbers.")
            return f"multiplies round-off by {parted / length / NEAR:.1g}"
        return ""

    def _idles(self, rate: float) -> int:
        """How many first steps do not move the weights at all."""
        twin = _example()
        with contextlib.suppress(*LOST), self.errors_named("cannot take a step"):
            for steps in (1, IDLE):
                weights = self._traced(self._setting, twin, twin.start, rate, steps).weights
                moved = [not np.array_equal(flat(one), flat(twin.start)) for one in weights]
                if any(moved):
                    return moved.index(True)
        return 0

    def _examined(self, rate: float) -> list[str]:
        """What else a report must say; refuses what rounds."""
        twin, says = _example(), []
        with self.errors_named("cannot take a step"):
            steps, bare = self._idle + STEPS, replace(self._setting, wide=False)
            try:
                trace = self._traced(bare, twin, twin.start, rate, steps, watched=True)
            except ANYTHING:  # What needs to be widened in order to run at all.
                trace = self._traced(self._setting, twin, twin.start, rate, steps)
                says.append("with all its arithmetic in float64")
            if trace.narrow:
                narrow = " and ".join(sorted(trace.narrow))
                self._setting = replace(self._setting, wide=True)
                try:
                    left = self._traced(self._setting, twin, twin.start, rate, steps, watched=True).narrow
                except ANYTHING as error:
                    raise self._rounding(narrow) from error
                if left:
                    raise self._rounding(" and ".join(sorted(left)))
                says.append(f"what it does in {narrow} is done in float64")
            if self._idle:
                steps_told = "step does" if self._idle == 1 else f"{self._idle} steps do"
                says.append(f"its first {steps_told} not move, and {'is' if self._idle == 1 else 'are'} not counted")
            self.draws = trace.drew
            if trace.drew:
                says.append("it draws random numbers: the same ones for both networks")
            if trace.modes:
                says.append("weights are those of its eval mode")
            if trace.made_move:
                says.append("making it changes the weights, which counts as part of the first step")
            self._fixed = self.rate is not None and not self._scales(twin, rate)
            if self._fixed:
                says.append("its steps are not proportional to its rate, so gaps have no slope")
        return says

    def _scales(self, twin: Twin, rate: float) -> bool:
        """Whether every parameter moves less at a lower rate."""
        moves = []
        for one in (rate, rate / SHORTER):
            (after,) = self.run(twin, twin.start, rate=one, steps=1)
            ends = zip(sum(after, ()), sum(twin.start, ()), strict=True)
            moves.append([float(np.linalg.norm(x - y)) for x, y in ends])
        top = max(moves[1])
        return all(y <= 4 * x / SHORTER or y <= 1e-3 * top for x, y in zip(*moves, strict=True))

    def _rounding(self, narrow: str) -> UnauditableError:
        return UnauditableError(
            f"{self.name} computes in {narrow} inside, whatever its parameters are: its round-off would pass for a "
            "discrepancy."
        )


@cache
def _example() -> Twin:
    problem = random_problem()
    return Twin(problem, problem.iota)
