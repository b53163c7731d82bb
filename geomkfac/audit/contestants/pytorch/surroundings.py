"""What surrounds a run of a PyTorch optimizer: seeds, silence, one dtype, a process group of one where asked for."""

from __future__ import annotations

import contextlib
import io
import random
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np


@contextlib.contextmanager
def surrounded(torch: Any, dtype: Any, seed: int = 0) -> Iterator[None]:
    """Random numbers from a seed, nothing printed or compiled, new tensors of `dtype`; all put back afterwards."""
    states = _states(torch)
    default = torch.get_default_dtype()
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(_eager(torch))
        torch.set_default_dtype(dtype)
        _seed(torch, seed)
        try:
            yield
        finally:
            torch.set_default_dtype(default)
            _restore(torch, states)


def _eager(torch: Any) -> Any:
    """What is marked for compilation runs as it is written."""
    stance = getattr(torch.compiler, "set_stance", None)
    return contextlib.nullcontext() if stance is None else stance("force_eager")


def _seed(torch: Any, seed: int) -> None:
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    np.random.seed(seed)
    random.seed(seed)


def _states(torch: Any) -> tuple[list[Any], Any, Any]:
    """Of all generators: PyTorch's, on the host and on devices that are in use, NumPy's and Python's."""
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return [torch.get_rng_state(), *devices], np.random.get_state(), random.getstate()


def _restore(torch: Any, states: tuple[list[Any], Any, Any]) -> None:
    host, *devices = states[0]
    torch.set_rng_state(host)
    if devices:
        torch.cuda.set_rng_state_all(devices)
    np.random.set_state(states[1])
    random.setstate(states[2])


def drew(torch: Any, seed: int) -> bool:
    """Whether random numbers were drawn since the seed was set.  Inside `surrounded`; its states stay."""
    here = _states(torch)
    _seed(torch, seed)
    seeded = _states(torch)
    _restore(torch, here)
    return not (
        all(map(torch.equal, here[0], seeded[0]))
        and here[1][2] == seeded[1][2]
        and np.array_equal(here[1][1], seeded[1][1])
        and here[2] == seeded[2]
    )


@contextlib.contextmanager
def alone(torch: Any, wanted: bool) -> Iterator[None]:
    """A process group of this process alone, in memory, where `wanted` and there is none; ended afterwards."""
    if not wanted or not torch.distributed.is_available() or torch.distributed.is_initialized():
        yield
        return
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


# -- arithmetic narrower than the parameters ---------------------------------------------------------------
def _width(torch: Any, dtype: Any) -> float:
    return float(torch.finfo(dtype).eps) if dtype.is_floating_point or dtype.is_complex else 0.0


def narrowings(torch: Any, dtype: Any) -> Any:
    """A mode to enter: a set of the floating types narrower than `dtype` that occur while it lasts."""
    return _modes(torch)[0](_width(torch, dtype))


def widened(torch: Any, dtype: Any) -> Any:
    """A mode to enter: where a floating type narrower than `dtype` is asked for, `dtype` comes."""
    return _modes(torch)[1](dtype, _width(torch, dtype))


@cache
def _modes(torch: Any) -> tuple[Any, Any]:
    function_mode: Any = torch.overrides.TorchFunctionMode
    dispatch_mode: Any = torch.utils._python_dispatch.TorchDispatchMode
    named = {
        getattr(torch.Tensor, name): getattr(torch, dtype)
        for name, dtype in (("bfloat16", "bfloat16"), ("half", "float16"), ("float", "float32"))
    }

    hooked = torch.Tensor.register_hook, torch.Tensor.register_post_accumulate_grad_hook

    class Narrowings(dispatch_mode):  # type: ignore[misc]
        def __init__(self, epsilon: float) -> None:
            super().__init__()
            self.epsilon = epsilon
            self.found: set[str] = set()

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            for one in out if isinstance(out, tuple | list) else (out,):
                if isinstance(one, torch.Tensor) and _width(torch, one.dtype) > self.epsilon:
                    self.found.add(str(one.dtype).removeprefix("torch."))
            return out

    class Widened(function_mode):  # type: ignore[misc]
        def __init__(self, dtype: Any, epsilon: float) -> None:
            super().__init__()
            self.dtype, self.epsilon = dtype, epsilon

        def _wide(self, value: Any) -> Any:
            if not isinstance(value, torch.dtype) or _width(torch, value) <= self.epsilon:
                return value
            return self.dtype.to_complex() if value.is_complex else self.dtype

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if func is torch.Tensor.view:
                # Bits read as another type are no rounding.
                return func(*args, **kwargs)
            if func in hooked:
                # Autograd calls hooks outside of any mode.
                tensor, hook = args

                def inside(*given: Any) -> Any:
                    with self:
                        return hook(*given)

                return func(tensor, inside)
            if func in named and self._wide(named[func]) is self.dtype:
                return args[0].to(self.dtype)
            return func(*map(self._wide, args), **{key: self._wide(value) for key, value in kwargs.items()})

    return Narrowings, Widened
