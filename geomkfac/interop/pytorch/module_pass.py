"""One pass of a module that is seen through hooks: what its layers took, and the way back by autograd."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.borders import Borders, padding_of
from geomkfac.arrays.namespace import Namespace
from geomkfac.arrays.windows import Windows
from geomkfac.interop.pytorch.module_metric import LayerPart
from geomkfac.interop.pytorch.support import pytorch, refusal
from geomkfac.networks.passes.chain_pass import Pass
from geomkfac.networks.passes.layer_inputs import PatchUse, PointUse, Use
from geomkfac.spaces import BaseFrame, Point, Vector


@final
@dataclass(frozen=True, slots=True, eq=False)
class ModulePass(Pass):
    """A pass whose way back is autograd's.

    Attributes
    ----------
    parts : the layers, or groups of their channels, in the order of the weights
    chosen : the layers by their names
    frame : of the outputs, in which these are coordinates
    given : what each layer gave, by name
    z : the outputs as a tensor that autograd knows, classes last
    seen : what each part took
    """

    parts: tuple[LayerPart, ...]
    chosen: dict[str, Any]
    frame: BaseFrame
    given: dict[str, Any]
    z: Any
    seen: tuple[Use, ...]
    outputs: Point
    valid: Array | None = None

    def uses(self) -> Sequence[Use]:
        return self.seen

    def backward(self, covectors: Vector) -> Iterator[tuple[int, Array]]:
        torch, given = pytorch("a pass of a module"), [self.given[name] for name in self.chosen]
        pulled = []
        for row in covectors.coordinates(self.frame.linear.dual):
            found = torch.autograd.grad(self.z, given, row, retain_graph=True, allow_unused=True)
            for name, gradient in zip(self.chosen, found, strict=True):
                if gradient is None:
                    raise refusal(
                        name, self.chosen[name], "the outputs do not depend on it", "Leave it out, with layers=[...]."
                    )
            pulled.append(found)
        # Layer by layer, and then they are let go.
        of_layers = [list(column) for column in zip(*pulled, strict=True)]
        del pulled, found
        rows: Any = None
        for index, part in reversed(list(enumerate(self.parts))):
            if part.group == part.groups - 1:
                rows = torch.stack(of_layers.pop())
            yield index, self._own(part, rows)

    def _own(self, part: LayerPart, rows: Any) -> Any:
        """The rows of one part, (K, N, *places, m)."""
        m, (K, count) = part.shape[0], (rows.shape[0], self.z.shape[0])
        if not part.shape[2:]:
            flat = rows.reshape(K, count, -1, m)
            return flat[:, :, 0] if flat.shape[2] == 1 else flat
        return rows[:, :, part.group * m : (part.group + 1) * m].movedim(2, -1).contiguous()


def use_of(ns: Namespace, part: LayerPart, layer: Any, taken: Any, count: int) -> Use:
    """What a part of a layer took, as the sums over places want it."""
    if not part.shape[2:]:
        if taken.numel() % (count * part.shape[1]):
            raise refusal(part.name, layer, f"it takes {tuple(taken.shape)}, which are no rows of {count} data")
        rows = taken.reshape(count, -1, part.shape[1])
        return PointUse(rows[:, 0] if rows.shape[1] == 1 else rows)
    J, kernel = part.shape[1], part.shape[2:]
    if taken.ndim != 2 + len(kernel) or taken.shape[0] != count:
        raise refusal(part.name, layer, f"it takes {tuple(taken.shape)}, and not maps of {count} data")
    own = taken[:, part.group * J : (part.group + 1) * J].movedim(1, -1).contiguous()
    grid = tuple(own.shape)[1:-1]
    filled = "point" if layer.padding_mode == "zeros" else layer.padding_mode
    borders = Borders(grid, padding_of(layer.padding, kernel, layer.dilation), filled)
    padded = borders.pad(ns, own, ns.zeros((J,)) if borders.is_constant else None)
    return PatchUse(padded, Windows(borders.padded, kernel, tuple(layer.stride), tuple(layer.dilation)))
