"""A CuPy of NumPy arrays, for machines without a GPU: what CuPy refuses, this refuses too.

Its arrays are no NumPy arrays and do not become any unless asked (``get``), do not meet NumPy arrays, lie on a
device that cannot be hashed, and its linear algebra is silent about failures unless ``errstate`` says otherwise,
as read in the source of cupy 14.2.  What runs on it runs through array-api-compat's own module for CuPy.  It
proves nothing about cuSOLVER, streams or memory.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import scipy.linalg


class Device:
    """The one device, number 0."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, device: Any = None) -> None:
        self.id = 0 if device is None else int(device)

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __str__(self) -> str:
        return f"<CUDA Device {self.id}>"

    mem_info = (2**30, 2**31)


class ndarray:
    """An array on the device."""

    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, host: Any) -> None:
        self._host = np.asarray(host)

    device = property(lambda self: Device())
    mT = property(lambda self: ndarray(self._host.mT))
    T = property(lambda self: ndarray(self._host.T))

    def __array__(self, *_: object, **__: object) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def get(self) -> Any:
        return self._host.copy()

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "dtype", "ndim", "size", "itemsize"):
            return getattr(self._host, name)
        if name in ("astype", "copy", "reshape", "sum", "any", "all", "max", "min", "transpose"):
            return _lifted(getattr(self._host, name))
        raise AttributeError(name)

    def __getitem__(self, key: Any) -> Any:
        return ndarray(self._host[_lowered(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._host[_lowered(key)] = _lowered(value)

    def __bool__(self) -> bool:
        return bool(self._host)

    def __float__(self) -> float:
        return float(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __index__(self) -> int:
        return operator.index(self._host)

    def __len__(self) -> int:
        return len(self._host)

    def __neg__(self) -> Any:
        return ndarray(-self._host)

    def __invert__(self) -> Any:
        return ndarray(~self._host)


def _binary(name: str) -> Any:
    def run(self: Any, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            raise TypeError(f"Unsupported type {type(other)}")
        return ndarray(getattr(operator, name)(self._host, _lowered(other)))

    def reflected(self: Any, other: Any) -> Any:
        return ndarray(getattr(operator, name)(_lowered(other), self._host))

    return run, reflected


for _name in ("add", "sub", "mul", "truediv", "matmul", "pow", "and_", "or_", "floordiv", "mod"):
    _run, _reflected = _binary(_name)
    _plain = _name.rstrip("_")
    setattr(ndarray, f"__{_plain}__", _run)
    setattr(ndarray, f"__r{_plain}__", _reflected)
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(ndarray, f"__{_name}__", _binary(_name)[0])


def _lowered(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, list | tuple):
        return type(value)(map(_lowered, value))
    return value


def _raised(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return ndarray(value)
    if isinstance(value, tuple):
        return tuple(map(_raised, value))
    return value


def _lifted(function: Any) -> Any:
    def run(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("blocking", None)
        return _raised(function(*map(_lowered, args), **{key: _lowered(value) for key, value in kwargs.items()}))

    return run


def _asarray(values: Any, dtype: Any = None, copy: Any = None, **_: Any) -> Any:
    return ndarray(np.array(values._host if isinstance(values, ndarray) else values, dtype=dtype))


_state = {"linalg": "ignore"}


@contextmanager
def errstate(*, linalg: str) -> Iterator[None]:
    before = _state["linalg"]
    _state["linalg"] = linalg
    try:
        yield
    finally:
        _state["linalg"] = before


def _reported(failed: bool, routine: str) -> None:
    if failed and _state["linalg"] == "raise":
        raise np.linalg.LinAlgError(f"Error reported by {routine} in cuSOLVER. devInfo = [1].")


def cholesky(a: Any) -> Any:
    lower, info = scipy.linalg.lapack.get_lapack_funcs(("potrf",), (a._host,))[0](a._host, lower=True, clean=True)
    _reported(info != 0, "potrf")
    return ndarray(lower)


def inv(a: Any) -> Any:
    try:
        return ndarray(np.linalg.inv(a._host))
    except np.linalg.LinAlgError:
        _reported(True, "getrf")
        return ndarray(np.full_like(a._host, np.inf))


def solve(a: Any, b: Any) -> Any:
    if a.shape[:-1] != b.shape[:-1]:
        raise ValueError("a must have (..., M, M) shape and b must have (..., M, K) for multidimensional b")
    return ndarray(np.linalg.solve(a._host, b._host))


def solve_triangular(a: Any, b: Any, trans: Any = 0, lower: bool = False) -> Any:
    if not b._host.size:
        raise ValueError("CUBLAS_STATUS_INVALID_VALUE")
    matrix = a._host.astype("float64")
    return ndarray(scipy.linalg.solve_triangular(matrix, b._host, trans=trans, lower=lower).astype(a.dtype))


def install() -> None:
    """Put it where CuPy is imported from."""
    Device.__module__, ndarray.__module__ = "cupy.cuda.device", "cupy"
    cupy, cupyx = ModuleType("cupy"), ModuleType("cupyx")
    for name in np.__all__:
        value = getattr(np, name)
        is_function = callable(value) and not isinstance(value, type)
        setattr(cupy, name, _lifted(value) if is_function else value)
    plain = {name: getattr(np, name) for name in ("finfo", "iinfo", "broadcast_shapes", "result_type")}
    cupy.__dict__.update(plain, ndarray=ndarray, asarray=_asarray, array=_asarray, __version__="14.2.0")
    cupy.cuda = _module("cupy.cuda", Device=Device, runtime=_module("cupy.cuda.runtime", getDeviceCount=lambda: 2))
    cupy.cuda.device = _module("cupy.cuda.device", Device=Device)
    cupy.cuda.Stream = type("Stream", (), {})
    pool = _module("pool", free_bytes=lambda: 0)
    cupy.get_default_memory_pool = lambda: pool
    shared = {name: _lifted(getattr(np.linalg, name)) for name in np.linalg.__all__ if name != "LinAlgError"}
    own = {"cholesky": cholesky, "inv": inv, "solve": solve}
    cupy.linalg = _module("cupy.linalg", **shared, LinAlgError=np.linalg.LinAlgError)
    cupy.linalg.__dict__.update(own)
    cupy.fft = _module("cupy.fft", **{name: _lifted(getattr(np.fft, name)) for name in np.fft.__all__})
    cupyx.errstate = errstate
    cupyx.scipy = _module("cupyx.scipy")
    cupyx.scipy.linalg = _module("cupyx.scipy.linalg", solve_triangular=solve_triangular)
    sys.modules |= {
        "cupy": cupy, "cupy.cuda": cupy.cuda, "cupy.cuda.device": cupy.cuda.device, "cupy.linalg": cupy.linalg,
        "cupy.fft": cupy.fft, "cupyx": cupyx, "cupyx.scipy": cupyx.scipy, "cupyx.scipy.linalg": cupyx.scipy.linalg,
    }  # fmt: skip
    cupy.__spec__ = __spec__


def _module(name: str, **members: Any) -> Any:
    module = ModuleType(name)
    module.__dict__.update(members)
    return module
