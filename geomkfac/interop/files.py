"""Networks and data from and to ``.npz`` and ``.safetensors`` files.

A network is ``<layer>.weight`` of shape (m, n) and ``<layer>.bias`` of shape (m,) for every layer, in
natural order of ``<layer>`` (layer10 comes after layer9).  Data are ``X`` of shape (N, n) and ``y``
with N rows.  Dtypes are kept, but for those of 16 bits where ``widen`` asks for float32.

Convolutions have weights (m, channels / groups, *kernel), and their data are ``X`` (N, channels, *grid), as
PyTorch lays both out.  A recurrence has three layers, recurrent, input and output weights, and where its
initial state is learned a fourth, of weight (h, 0); its data are ``X`` (N, T, n), and perhaps ``lengths`` (N,).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from geomkfac.arrays.npy import KINDS
from geomkfac.errors import FileFormatError, ShapeError
from geomkfac.interop.formats import npz, tensors
from geomkfac.outputs import replacing

PathLike: TypeAlias = str | os.PathLike[str]
SUFFIXES = (".npz", ".safetensors")
MOST, LONGEST = 40, 200
"""Names in a message, and characters of one."""


def read_network(path: PathLike, *, chained: bool = True, widen: bool = False) -> tuple[list[Any], list[Any]]:
    """The weights (m, n) and biases (m,) of a network, layer by layer.

    Parameters
    ----------
    chained : whether every layer is fully connected and takes the outputs of the one before; not so for
        convolutions and recurrences, whose weights an architecture puts together
    widen : as for `read_arrays`

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, holds other keys, or a weight without its bias.
    ShapeError
        If a layer's arrays do not fit together, or not onto the layer before, or it has no units; it names the layer.
    """
    arrays = read_arrays(path, widen=widen)
    parts: dict[str, dict[str, Any]] = {}
    for key in arrays:
        layer, _, part = key.rpartition(".")
        parts.setdefault(layer if part in ("weight", "bias") else "", {})[part] = arrays[key]
    if not parts or "" in parts:
        _refuse_keys(path, "<layer>.weight and <layer>.bias for every layer", arrays)
    layers = sorted(parts, key=_natural_order)
    for layer in layers:
        for part in ("weight", "bias"):
            if part not in parts[layer]:
                _refuse_keys(path, f"{_cut(layer)}.{part}, to go with the other array of its layer", arrays)
    weights = [parts[layer]["weight"] for layer in layers]
    biases = [parts[layer]["bias"] for layer in layers]
    _check_layers(layers, weights, biases, chained)
    return weights, biases


def write_network(path: PathLike, weights: Sequence[Any], biases: Sequence[Any], *, chained: bool = True) -> None:
    """Write a network with layers called layer1, layer2, ...

    Parameters
    ----------
    path : where to, ending in ``.npz`` or ``.safetensors``; an old file is replaced
    weights : arrays of shapes (m, n), NumPy's or what it can convert
    biases : arrays of shapes (m,)
    chained : as for `read_network`

    Raises
    ------
    ShapeError
        If the arrays make no network.
    FileFormatError
        If the suffix is another.
    """
    if len(weights) != len(biases) or not weights:
        raise ShapeError(
            "a network needs one bias for every weight.\n"
            f"  required: as many biases as weights, at least one\n"
            f"  came    : {len(weights)} weights, {len(biases)} biases\n"
            "Pass a bias of zeros for a layer without one."
        )
    layers = [f"layer{k}" for k in range(1, len(weights) + 1)]
    weights, biases = [np.asarray(w) for w in weights], [np.asarray(b) for b in biases]
    _check_layers(layers, weights, biases, chained)
    arrays: dict[str, Any] = {}
    for layer, weight, bias in zip(layers, weights, biases, strict=True):
        arrays |= {f"{layer}.weight": weight, f"{layer}.bias": bias}
    write_arrays(path, arrays)


def read_data(path: PathLike, *, ndim: int = 2, widen: bool = False) -> tuple[Any, Any]:
    """The inputs ``X`` (N, n) and targets ``y`` with N rows.

    Parameters
    ----------
    ndim : number of axes of X; 3 or more for maps (N, channels, *grid)
    widen : as for `read_arrays`

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, or holds other keys.
    ShapeError
        If X has another number of axes, or y another number of rows.
    """
    arrays = _checked_data(path, ndim, (), "X and y, nothing else", widen)
    return arrays["X"], arrays["y"]


def read_sequences(path: PathLike, *, widen: bool = False) -> tuple[Any, Any, Any]:
    """Sequences ``X`` (N, T, n), targets ``y`` with N rows, and ``lengths`` (N,), None where the file has none.

    Parameters
    ----------
    widen : as for `read_arrays`

    Raises
    ------
    FileFormatError, ShapeError : as for `read_data`.
    """
    arrays = _checked_data(path, 3, ("lengths",), "X and y, and perhaps lengths", widen)
    return arrays["X"], arrays["y"], arrays.get("lengths")


def _checked_data(
    path: PathLike, ndim: int, others: tuple[str, ...], required: str, widen: bool
) -> dict[str, Any]:
    """The arrays X, y and perhaps others of a file; `required` says which."""
    arrays = read_arrays(path, widen=widen)
    if arrays.keys() - others != {"X", "y"}:
        _refuse_keys(path, required, arrays)
    check_data(arrays["X"], arrays["y"], ndim)
    return arrays


def write_data(path: PathLike, X: Any, y: Any, *, lengths: Any = None) -> None:
    """Write inputs, of two axes or more, and targets with N rows; raises as `read_data` and `write_arrays` do.

    Parameters
    ----------
    X : array, shape (N, n); (N, channels, *grid) for maps, (N, T, n) for sequences
    lengths : integers (N,), of sequences; None for none
    """
    X, y = np.asarray(X), np.asarray(y)
    check_data(X, y, max(2, X.ndim))
    write_arrays(path, {"X": X, "y": y} | ({} if lengths is None else {"lengths": np.asarray(lengths)}))


def read_arrays(path: PathLike, *, widen: bool = False) -> dict[str, Any]:
    """All arrays of a ``.npz`` or ``.safetensors`` file, by key.

    Parameters
    ----------
    widen : whether arrays of bfloat16 and float16 come as float32, which holds these numbers exactly.  Otherwise
        bfloat16, which NumPy lacks, is refused

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, of another format, holds one name twice or pickled objects, or declares
        other sizes than it has, or more than fits into memory.
    """
    path = Path(path)
    suffix = _known_suffix(path)
    try:
        if not path.is_file():
            raise FileFormatError(
                f"no such file: {os.fspath(path)!r}.\n  required: a file to read\n"
                f"  came    : {'a folder' if path.is_dir() else 'nothing at this path'}\nCheck the path."
            )
        with path.open("rb") as file:
            arrays = npz.read(file) if suffix == ".npz" else tensors.read(file, widen)
    except FileFormatError:
        raise
    # Of what zipfile and zlib raise where an archive is damaged, their documentation names a part.
    except Exception as error:
        raise FileFormatError(
            f"{os.fspath(path)!r} cannot be read.\n"
            f"  required: a complete {suffix} file of plain arrays, without pickled objects\n"
            f"  came    : {error or type(error).__name__}\n"
            "The file is damaged, truncated or of another format; write it again."
        ) from error
    if widen:
        with np.errstate(invalid="ignore"):  # Some processors tell of a NaN.
            return {key: array.astype(np.float32) if array.dtype == np.float16 else array
                    for key, array in arrays.items()}  # fmt: skip
    return arrays


def write_arrays(path: PathLike, arrays: Mapping[str, Any]) -> None:
    """Write arrays by key, all or nothing: a failure leaves the old file, or none.

    Raises
    ------
    FileFormatError
        If the suffix is neither ``.npz`` nor ``.safetensors``, an array holds neither numbers nor text, or the file
        cannot be written.
    """
    path = Path(path)
    suffix = _known_suffix(path)
    plain = {key: np.ascontiguousarray(array).reshape(np.shape(array)) for key, array in arrays.items()}
    for key, array in plain.items():
        if array.dtype.kind not in KINDS:
            what = "Python objects" if array.dtype.hasobject else "no numbers"
            raise FileFormatError(
                f"{key!r} holds {what}.\n  required: numbers\n  came    : dtype {array.dtype}\n"
                "Convert it to an array of numbers first."
            )
    with replacing(path) as file:
        (npz.write if suffix == ".npz" else tensors.write)(file, plain)


def _known_suffix(path: Path) -> str:
    if path.suffix not in SUFFIXES:
        raise FileFormatError(
            f"{os.fspath(path)!r} has an unknown suffix.\n"
            f"  required: {' or '.join(SUFFIXES)}\n  came    : {path.suffix or 'no suffix'}\n"
            "Name the file by its format."
        )
    return path.suffix


def _natural_order(layer: str) -> list[tuple[int, int, str]]:
    """Numbers within a name count as numbers: of more digits, without zeros in front, is larger."""
    pieces = re.findall(r"[0-9]+|[^0-9]+", layer)
    digits = [piece.lstrip("0") for piece in pieces]
    return [
        (0, len(number), number) if piece[0] in "0123456789" else (1, 0, piece)
        for piece, number in zip(pieces, digits, strict=True)
    ]


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}..."


def _refuse_keys(path: PathLike, required: str, arrays: Mapping[str, Any]) -> None:
    names = sorted(arrays, key=_natural_order)
    shown = [repr(_cut(name)) for name in names[:MOST]]
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    raise FileFormatError(
        f"{os.fspath(path)!r} holds other arrays than it should.\n"
        f"  required: {required}\n  came    : {', '.join(shown) or 'no arrays'}{more}\n"
        "Rename the arrays, or leave out those that do not belong."
    )


def _check_layers(layers: Sequence[str], weights: Sequence[Any], biases: Sequence[Any], chained: bool) -> None:
    width: int | None = None
    for name, weight, bias in zip(layers, weights, biases, strict=True):
        layer = repr(_cut(name))
        if bias.shape[:1] == (0,):
            raise ShapeError(
                f"layer {layer} has no units.\n  required: weight (m, ...) and bias (m,), with m at least 1\n"
                f"  came    : weight {weight.shape} and bias {bias.shape}\nLeave the layer out."
            )
        if not chained:
            if weight.ndim < 2 or bias.shape != weight.shape[:1]:
                raise ShapeError(
                    f"layer {layer} does not fit.\n  required: weight (m, ...) of two axes or more, and bias (m,)\n"
                    f"  came    : weight {weight.shape} and bias {bias.shape}"
                )
            continue
        fits_before = width is None or weight.shape[-1:] == (width,)
        if weight.ndim != 2 or bias.shape != weight.shape[:1] or not fits_before:
            inputs = "n" if width is None else f"{width} (the outputs of the layer before)"
            raise ShapeError(
                f"layer {layer} does not fit.\n"
                f"  required: weight (m, n) and bias (m,), with n = {inputs}\n"
                f"  came    : weight {weight.shape} and bias {bias.shape}\n"
                "Transpose the weight if it is stored as (inputs, outputs); layers stand in natural order.\n"
                "Convolutions and recurrences need an architecture (--architecture, or chained=False)."
            )
        width = weight.shape[0]


def check_data(X: Any, y: Any, ndim: int) -> None:
    """Raise `ShapeError` unless X has `ndim` axes, and y as many rows."""
    if X.ndim != ndim or y.ndim < 1 or y.shape[0] != X.shape[0]:
        form = "(N, n)" if ndim == 2 else f"of {ndim} axes, N first"
        raise ShapeError(
            "X and y must have one row for each datum.\n"
            f"  required: X {form}, and y with N rows\n  came    : X {X.shape} and y {y.shape}\n"
            "Reshape them; a single datum is X[None, :]."
        )
