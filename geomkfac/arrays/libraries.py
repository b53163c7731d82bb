"""Array libraries by name, for floating point."""

from __future__ import annotations

from importlib import import_module

from geomkfac.arrays.floating import FloatingNamespace, floating
from geomkfac.errors import MissingExtraError
from geomkfac.names import look_up

__all__ = ["LIBRARIES", "floating_namespace"]

LIBRARIES = {"numpy": "numpy", "torch": "torch", "cupy": "gpu", "array_api_strict": "test"}
"""Names of libraries, and the extra of this package that installs each."""


def floating_namespace(library: str, dtype: str = "float64") -> FloatingNamespace:
    """The namespace of a library's own arrays, on its default device.

    Parameters
    ----------
    library : a key of `LIBRARIES`
    dtype : ``"float32"`` or ``"float64"``

    Raises
    ------
    UnknownNameError : another library or dtype.
    MissingExtraError : the library is not installed.
    """
    extra = look_up("array library", library, LIBRARIES)
    look_up("dtype", dtype, dict.fromkeys(("float32", "float64")))
    try:
        module = import_module(library)
    except ImportError as error:
        raise MissingExtraError(
            f"arrays of {library} need {library}, which is not installed.\n  required: {library}\n"
            f"  came    : {error}\nInstall it with: pip install 'geomkfac[{extra}]'"
        ) from error
    return floating.namespace_of(module.zeros(1, dtype=getattr(module, dtype)))
