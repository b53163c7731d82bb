"""PyTorch where it is installed, tensors of arrays, and how modules are refused."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import array_api_compat

from geomkfac.arrays import namespace_of
from geomkfac.arrays.array import Array
from geomkfac.errors import GeomkfacError, KindError, MissingExtraError

INSTEAD = (
    "Change the module, or take `kfac_of_module`, which needs no model of what stands between its Linear and "
    "Conv layers."
)


class UnplaceableModuleError(GeomkfacError, ValueError):
    """A PyTorch module that has no place among geomkfac's networks, with the part and the reason."""


def pytorch(purpose: str) -> Any:
    """The module `torch`.

    Raises
    ------
    MissingExtraError : PyTorch is not installed.
    """
    try:
        return import_module("torch")
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs PyTorch, which is not installed.\nInstall the extra: pip install 'geomkfac[torch]'."
        ) from error


def described(name: str, part: Any) -> str:
    """A part of a module as messages name it: its qualified name and its type, or the function's name."""
    kind = part if isinstance(part, str) else type(part).__name__
    return f"{name!r} ({kind})" if name else f"the module ({kind})"


def refusal(name: str, part: Any, reason: str, advice: str = INSTEAD) -> UnplaceableModuleError:
    """The error that says which part of a module cannot be taken, why, and what to do."""
    return UnplaceableModuleError(f"{described(name, part)} cannot be placed: {reason}.\n{advice}")


def first_line(error: Exception) -> str:
    """An error of PyTorch's in one line: its type, and how its message begins."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def tensor_of(torch: Any, array: Array) -> Any:
    """A tensor of its own with these entries: a tensor's dtype and device are kept; others are on the CPU.

    Raises
    ------
    KindError : the array is of an exact kind.
    """
    if array_api_compat.is_torch_array(array):
        return array.detach().clone(memory_format=torch.contiguous_format)
    ns = namespace_of(array)
    if ns.kind.is_exact:
        raise KindError(f"PyTorch's tensors hold floating-point numbers, and these are over {ns.kind!r}.")
    return torch.from_numpy(ns.to_numpy(array).copy(order="C"))
