"""How a double of a network is written: in what it differs from the network, and the twin that it makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from geomkfac.audit.twins.problem import Problem
from geomkfac.audit.twins.storage import PLAIN, Storage
from geomkfac.audit.twins.twin import Twin
from geomkfac.spaces import Parameterization


@final
@dataclass(frozen=True, slots=True, eq=False)
class Double:
    """In what a network's double differs from the network itself.

    Attributes
    ----------
    parameterization : the frames of its weights, inputs and outputs
    condition : of the change of basis from the problem's frames, the largest of one space, the homogeneous coordinate
        included
    storage : how its weights lie in parameters
    loss_scale : its loss is multiplied by this
    """

    parameterization: Parameterization
    condition: float = 1.0
    storage: Storage = PLAIN
    loss_scale: float = 1.0

    @classmethod
    def in_frames(cls, problem: Problem, kappa: Parameterization) -> Double:
        """The double of a problem that is written in other frames."""
        conditions = [1.0]
        for matrix, shift in cls(kappa).changes(problem).values():
            whole = np.eye(len(shift) + 1)
            whole[:-1, :-1], whole[:-1, -1] = matrix, shift
            conditions.append(float(np.linalg.cond(whole)))
        return cls(kappa, max(conditions))

    def twin(self, problem: Problem, dtype: str = "float64") -> Twin:
        """The double itself, of a problem."""
        return Twin(problem, self.parameterization, dtype, self.storage, self.loss_scale)

    def changes(self, problem: Problem) -> dict[Any, tuple[Any, Any]]:
        """``{space: (B, c)}``: what leads from the problem's frames to its own, of the spaces that change."""
        found = {
            space: self.parameterization.base_frame(space).change_from(problem.iota.base_frame(space))
            for space in problem.iota
        }
        return {space: (B, c) for space, (B, c) in found.items() if not np.array_equal(B, np.eye(len(c))) or c.any()}

    def is_trivial(self, problem: Problem) -> bool:
        """Whether it is the problem itself, so that every optimizer would pass."""
        return not self.changes(problem) and self.storage is PLAIN and self.loss_scale == 1
