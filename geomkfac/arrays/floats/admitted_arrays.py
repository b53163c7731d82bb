"""What a floating-point array must be beside its dtype: an array with numbers, on one device, of its own.

PyTorch, JAX and CuPy each have arrays that look like numbers and are none, or that carry something along.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import array_api_compat
import numpy as np

from geomkfac.arrays.floats.devices import check_current, device_name
from geomkfac.errors import KindError

_recording: ContextVar[bool] = ContextVar("recording", default=False)


@contextmanager
def recording_gradients() -> Iterator[None]:
    """Within it tensors of PyTorch that record gradients are let in, and autograd follows what is made of them.

    For derivatives of what geomkfac computes, such as products with the Hessian from `differential`.  Arrays that
    were copied to the host on the way, as those of frames, are constants.
    """
    token = _recording.set(True)
    try:
        yield
    finally:
        _recording.reset(token)


def plain(values: Any, what: str) -> Any:
    """`values`, an array of floats, as a plain array of its library; refused where it carries more along.

    Raises
    ------
    KindError : a tensor that records gradients, is sparse or has no numbers; a float64 array of JAX while it is off.
    DeviceError : an array of CuPy on a device that is not the current one.
    """
    if isinstance(values, np.ndarray | np.generic):
        return np.asarray(values)
    if array_api_compat.is_torch_array(values):
        _check_tensor(values, what)
    elif array_api_compat.is_jax_array(values):
        return _checked_jax(values, what)
    elif array_api_compat.is_cupy_array(values):
        check_current(values.device)
    return values


def _check_tensor(values: Any, what: str) -> None:
    if values.requires_grad and not _recording.get():
        raise KindError(
            f"{what} is a tensor that records gradients: everything made of it would, and hold its memory.\n"
            "  required: a tensor with requires_grad=False\n  came    : requires_grad=True\n"
            "Pass it as x.detach(), which copies nothing; or, to differentiate what geomkfac computes, work within\n"
            "`with geomkfac.arrays.recording_gradients():`."
        )
    if str(values.layout) != "torch.strided":
        raise KindError(
            f"{what} must be a dense tensor.\n  required: layout torch.strided\n  came    : {values.layout}\n"
            "Pass it as x.to_dense()."
        )
    if values.is_meta:
        raise KindError(
            f"{what} has a shape and no numbers.\n  required: a tensor on a device that computes\n"
            "  came    : a tensor on the device meta\nFill it first, for example with module.to_empty(device='cpu')."
        )


def _checked_jax(values: Any, what: str) -> Any:
    if values.dtype == np.float64 and not sys.modules["jax"].config.jax_enable_x64:
        raise KindError(
            f"{what} is a float64 array of JAX, which makes float32 of it at the next operation.\n"
            "  required: jax_enable_x64 on, or float32 arrays\n  came    : float64, and jax_enable_x64 off\n"
            'Call jax.config.update("jax_enable_x64", True) before any array is made.'
        )
    # A weakly typed array would take the dtype of whatever it meets.
    return values.astype(values.dtype) if values.weak_type else values


def refuse_transformed(values: Any) -> None:
    """Refuse what JAX passes to a function that it traces, and arrays that it spreads over devices.

    Raises
    ------
    KindError : within jax.jit, jax.grad, jax.vmap, ...; or an array on several devices.
    """
    if not array_api_compat.is_jax_array(values):
        return
    if isinstance(values, sys.modules["jax"].core.Tracer):
        raise KindError(
            "geomkfac computes with JAX arrays eagerly: it checks values, and chooses by ranks, which a traced "
            "function has not.\n  required: a jax.Array with numbers\n"
            f"  came    : {type(values).__name__}, within jax.jit or another transformation\n"
            "Call geomkfac outside of jax.jit, jax.grad and jax.vmap; it is batched already."
        )
    if len(values.devices()) != 1:
        raise KindError(
            "an array must lie on one device.\n  required: one device\n"
            f"  came    : {', '.join(sorted(map(device_name, values.devices())))}\n"
            "Gather it with jax.device_put(x, jax.devices()[0]); parts of the data can be summed on each device, "
            "and their moments merged."
        )
