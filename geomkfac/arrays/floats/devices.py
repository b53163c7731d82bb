"""Devices of array libraries: their names, and what a library says of them.

A name is ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ... for every library, or the library's own (PyTorch's
``"mps"``, array-api-strict's ``"device1"``).  Device objects themselves are no keys: CuPy's cannot be
hashed, JAX's cannot be pickled.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from geomkfac.errors import DeviceError

_PLATFORMS = {"cuda": "gpu", "gpu": "gpu", "cpu": "cpu"}
"""JAX's platforms, by our names; ``gpu`` is NVIDIA's or AMD's."""


def device_name(device: Any) -> str:
    """The name of a library's own device object; `device_named` undoes it."""
    room = type(device).__module__.split(".")[0]
    if room == "cupy":
        return f"cuda:{int(device)}"
    platform = getattr(device, "platform", None)
    if platform is not None:
        name = "cuda" if platform in ("gpu", "cuda") else str(platform)
        return name if name == "cpu" and device.id == 0 else f"{name}:{device.id}"
    text = str(device)
    if room == "array_api_strict":
        text = text.split("'")[1]
    return "cpu" if text in ("cpu", "CPU_DEVICE") else text


def device_named(library: str, name: str) -> Any:
    """A library's own object for the device called `name`.

    Raises
    ------
    DeviceError : the library has no such device here; it tells what the library says.
    """
    library = _top(library)
    try:
        return _FINDERS.get(library, _only_cpu)(name)
    # Libraries raise whatever they like: AssertionError, RuntimeError, their own.
    except Exception as error:
        raise no_device(library, name, error) from error


def no_device(library: str, name: str, error: Exception) -> DeviceError:
    """The error of a device that is not there, with the library's own words."""
    words = " ".join(str(error).split("\n")[0].split())
    seen = ", ".join(devices_of(library)) or "none"
    return DeviceError(
        f"{library} finds no device {name!r} here.\n  required: a device that {library} can use\n"
        f"  came    : {words or type(error).__name__}\n"
        f"Devices that {library} sees: {seen}.  `geomkfac info` lists those of every library."
    )


def devices_of(library: str) -> list[str]:
    """The names of the devices that an installed library sees, the default one first."""
    try:
        return _LISTS.get(_top(library), lambda: ["cpu"])()
    # Without a driver every library has an error of its own.
    except Exception:
        return []


def check_current(device: Any) -> None:
    """Refuse a device of CuPy that is not the current one, on which CuPy would compute in its stead.

    Raises
    ------
    DeviceError : another one is current.
    """
    current = import_module("cupy").cuda.Device()
    if device != current:
        raise DeviceError(
            "CuPy computes on the current device, and the array lies on another one.\n"
            f"  required: {device_name(current)}\n  came    : {device_name(device)}\n"
            f"Run the program within `with cupy.cuda.Device({int(device)}):`."
        )


def _top(library: str) -> str:
    return library.removeprefix("array_api_compat.").split(".")[0]


def _only_cpu(name: str) -> str:
    if name != "cpu":
        raise ValueError("its arrays live in the memory of the host")
    return "cpu"


def _of_torch(name: str) -> Any:
    torch = import_module("torch")
    # A device object can be made of any name; a tensor cannot.
    return torch.zeros(1, device=name).device


def _of_cupy(name: str) -> Any:
    cuda = import_module("cupy").cuda
    kind, _, number = name.partition(":")
    if kind != "cuda":
        raise ValueError("its arrays live in the memory of a CUDA device")
    count = cuda.runtime.getDeviceCount()
    index = int(number) if number else int(cuda.Device())
    if not 0 <= index < count:
        raise ValueError(f"there are {count} CUDA devices, counted from 0")
    return cuda.Device(index)


def _of_jax(name: str) -> Any:
    kind, _, number = name.partition(":")
    return import_module("jax").devices(_PLATFORMS.get(kind, kind))[int(number or 0)]


def _of_strict(name: str) -> Any:
    return import_module("array_api_strict").Device("CPU_DEVICE" if name == "cpu" else name)


_FINDERS: dict[str, Callable[[str], Any]] = {
    "torch": _of_torch,
    "cupy": _of_cupy,
    "jax": _of_jax,
    "array_api_strict": _of_strict,
}


def _list_of_torch() -> list[str]:
    torch = import_module("torch")
    names = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    return [*names, "mps"] if torch.backends.mps.is_available() else names


def _list_of_cupy() -> list[str]:
    return [f"cuda:{index}" for index in range(import_module("cupy").cuda.runtime.getDeviceCount())]


def _list_of_jax() -> list[str]:
    return [device_name(device) for device in import_module("jax").devices()]


def _list_of_strict() -> list[str]:
    return [device_name(device) for device in import_module("array_api_strict").__array_namespace_info__().devices()]


_LISTS: dict[str, Callable[[], list[str]]] = {
    "torch": _list_of_torch,
    "cupy": _list_of_cupy,
    "jax": _list_of_jax,
    "array_api_strict": _list_of_strict,
}
