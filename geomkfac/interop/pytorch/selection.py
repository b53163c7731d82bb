"""Which layers of a PyTorch module have a K-FAC metric, and what stands against it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geomkfac.errors import UnknownNameError
from geomkfac.interop.pytorch.module_metric import LayerPart
from geomkfac.interop.pytorch.support import refusal


def selected(torch: Any, module: Any, names: Sequence[str] | None) -> dict[str, Any]:
    """The layers with these names, or all Linear and ConvNd layers.

    Raises
    ------
    UnknownNameError : a name is none of a module.
    UnplaceableModuleError : a layer is of another type; or its parameters are shared, computed, or of several dtypes.
    """
    nn = torch.nn
    known = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    modules = dict(module.named_modules())
    if names is None:
        chosen = {name: part for name, part in modules.items() if type(part) in known}
        if not chosen:
            raise refusal("", module, "it has no Linear, Conv1d, Conv2d or Conv3d layer", "There is nothing to take.")
    else:
        missing = [name for name in names if name not in modules]
        if missing:
            having = ", ".join(name for name, part in modules.items() if type(part) in known) or "none"
            raise UnknownNameError(f"the module has no layer {', '.join(map(repr, missing))}; it has {having}.")
        chosen = {name: modules[name] for name in names}
    owners: dict[int, str] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        first = owners.setdefault(id(parameter), name)
        for shared in (first, name) if first != name else ():
            layer = shared.rpartition(".")[0]
            if layer in chosen:
                raise refusal(
                    layer, chosen[layer], f"{name!r} and {first!r} are one parameter; a layer has weights of its own",
                    "Leave both out, with layers=[...].",
                )  # fmt: skip
    like = next(iter(chosen.values()))
    for name, part in chosen.items():
        if type(part) not in known:
            raise refusal(name, part, "required: exactly Linear, Conv1d, Conv2d or Conv3d", "Leave it out.")
        for own in ("weight", "bias"):
            parameter = part._parameters.get(own, part)
            if parameter is part:
                raise refusal(
                    name, part, f"its {own} is no parameter, but computed", "Leave it out, with layers=[...]."
                )
            if parameter is not None and (
                parameter.dtype not in (torch.float32, torch.float64)
                or (parameter.dtype, parameter.device) != (like.weight.dtype, like.weight.device)
            ):
                raise refusal(
                    name, part, f"its {own} is {parameter.dtype} on {parameter.device}; required: all layers in "
                    "float32 or in float64, on one device", "Convert the module, or leave the layer out.",
                )  # fmt: skip
    return chosen


def check_mode(torch: Any, module: Any) -> None:
    """Refuse what mixes the data of a batch, or draws numbers.

    Raises
    ------
    UnplaceableModuleError
    """
    for name, part in module.named_modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm) and (part.training or part.running_mean is None):
            raise refusal(
                name, part, "while it trains it mixes the data of a batch, and the outputs are no function of single "
                "data", "Call module.eval() first (with track_running_stats).",
            )  # fmt: skip
        if isinstance(part, torch.nn.modules.dropout._DropoutNd) and part.training and part.p:
            raise refusal(name, part, "while it trains it drops activations at random", "Call module.eval() first.")


def parts_of(name: str, layer: Any) -> list[LayerPart]:
    """A layer as its groups of channels."""
    groups, biased = getattr(layer, "groups", 1), layer.bias is not None
    shape = (layer.weight.shape[0] // groups, *tuple(layer.weight.shape)[1:])
    return [LayerPart(name, group, groups, shape, biased) for group in range(groups)]
