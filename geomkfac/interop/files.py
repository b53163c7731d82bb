"""Networks and data from and to ``.npz`` and ``.safetensors`` files.

A network is ``<layer>.weight`` of shape (m, n) and ``<layer>.bias`` of shape (m,) for every layer, in
natural order of ``<layer>`` (layer10 comes after layer9).  Data are ``X`` of shape (N, n) and ``y``
with N rows.  Dtypes are kept.

Convolutions have weights (m, channels / groups, *kernel), and their data are ``X`` (N, channels, *grid), as
PyTorch lays both out.  A recurrence has three layers, recurrent, input and output weights, and where its
initial state is learned a fourth, of weight (h, 0); its data are ``X`` (N, T, n), and perhaps ``lengths`` (N,).
"""

from __future__ import annotations

import os
import re
import secrets
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from geomkfac.errors import FileFormatError, ShapeError

PathLike: TypeAlias = str | os.PathLike[str]
SUFFIXES = (".npz", ".safetensors")


def read_network(path: PathLike, *, chained: bool = True) -> tuple[list[Any], list[Any]]:
    """The weights (m, n) and biases (m,) of a network, layer by layer.

    Parameters
    ----------
    chained : whether every layer is fully connected and takes the outputs of the one before; not so for
        convolutions and recurrences, whose weights an architecture puts together

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, holds other keys, or a weight without its bias.
    ShapeError
        If a layer's arrays do not fit together, or not onto the layer before; it names the layer.
    """
    arrays = read_arrays(path)
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
                _refuse_keys(path, f"{layer}.{part}, to go with the other array of layer {layer!r}", arrays)
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


def read_data(path: PathLike, *, ndim: int = 2) -> tuple[Any, Any]:
    """The inputs ``X`` (N, n) and targets ``y`` with N rows.

    Parameters
    ----------
    ndim : number of axes of X; 3 or more for maps (N, channels, *grid)

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, or holds other keys.
    ShapeError
        If X has another number of axes, or y another number of rows.
    """
    arrays = _checked_data(path, ndim, (), "X and y, nothing else")
    return arrays["X"], arrays["y"]


def read_sequences(path: PathLike) -> tuple[Any, Any, Any]:
    """Sequences ``X`` (N, T, n), targets ``y`` with N rows, and ``lengths`` (N,), None where the file has none.

    Raises
    ------
    FileFormatError, ShapeError : as for `read_data`.
    """
    arrays = _checked_data(path, 3, ("lengths",), "X and y, and perhaps lengths")
    return arrays["X"], arrays["y"], arrays.get("lengths")


def _checked_data(path: PathLike, ndim: int, others: tuple[str, ...], required: str) -> dict[str, Any]:
    """The arrays X, y and perhaps others of a file; `required` says which."""
    arrays = read_arrays(path)
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


def read_arrays(path: PathLike) -> dict[str, Any]:
    """All arrays of a ``.npz`` or ``.safetensors`` file, by key.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, of another format, or holds pickled objects.
    """
    path = Path(path)
    suffix = _known_suffix(path)
    if not path.is_file():
        raise FileFormatError(
            f"no such file: {os.fspath(path)!r}.\n  required: a file to read\n"
            f"  came    : {'a folder' if path.is_dir() else 'nothing at this path'}\nCheck the path."
        )
    try:
        return _read_npz(path) if suffix == ".npz" else _read_safetensors(path)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise FileFormatError(
            f"{os.fspath(path)!r} cannot be read.\n"
            f"  required: a complete {suffix} file of plain arrays, without pickled objects\n"
            f"  came    : {error}\n"
            "The file is damaged, truncated or of another format; write it again."
        ) from error


def write_arrays(path: PathLike, arrays: Mapping[str, Any]) -> None:
    """Write arrays by key, all or nothing: a failure leaves the old file, or none.

    Raises
    ------
    FileFormatError
        If the suffix is neither ``.npz`` nor ``.safetensors``, an array holds objects, or the folder
        cannot be written to.
    """
    path = Path(path)
    suffix = _known_suffix(path)
    plain = {key: np.ascontiguousarray(array).reshape(np.shape(array)) for key, array in arrays.items()}
    for key, array in plain.items():
        if array.dtype.hasobject:
            raise FileFormatError(
                f"{key!r} holds Python objects.\n  required: numbers\n  came    : dtype {array.dtype}\n"
                "Convert it to an array of numbers first."
            )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        _write(temporary, suffix, plain)
        os.replace(temporary, path)
    except (OSError, ValueError) as error:
        raise FileFormatError(
            f"{os.fspath(path)!r} cannot be written.\n"
            f"  required: a folder that exists and can be written to, and dtypes that {suffix} knows\n"
            f"  came    : {error}\n"
            "Nothing was written."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _read_npz(path: Path) -> dict[str, Any]:
    # Opened here, because numpy.load leaves a damaged archive open.
    with path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("a single array instead of an archive")
        arrays = {key: archive[key] for key in archive.files}
    foreign = [key for key, array in arrays.items() if not isinstance(array, np.ndarray)]
    if foreign:
        raise ValueError(f"members that are no arrays: {', '.join(map(repr, foreign))}")
    return arrays


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    with _safetensors_errors():
        return dict(load_file(path))


def _write(path: Path, suffix: str, arrays: dict[str, Any]) -> None:
    if suffix == ".npz":
        # Member by member, and not numpy.savez, whose keyword arguments forbid some keys.
        with path.open("xb") as file, zipfile.ZipFile(file, "w") as archive:
            for key, array in arrays.items():
                with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        return
    from safetensors.numpy import save

    with _safetensors_errors():
        path.write_bytes(save(arrays))


@contextmanager
def _safetensors_errors() -> Iterator[None]:
    """What that library refuses, as a ValueError."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _known_suffix(path: Path) -> str:
    if path.suffix not in SUFFIXES:
        raise FileFormatError(
            f"{os.fspath(path)!r} has an unknown suffix.\n"
            f"  required: {' or '.join(SUFFIXES)}\n  came    : {path.suffix or 'no suffix'}\n"
            "Name the file by its format."
        )
    return path.suffix


def _natural_order(layer: str) -> list[tuple[int, int, str]]:
    """Numbers within a name count as numbers."""
    pieces = re.findall(r"\d+|\D+", layer)
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces]


def _refuse_keys(path: PathLike, required: str, arrays: Mapping[str, Any]) -> None:
    shown = ", ".join(map(repr, sorted(arrays, key=_natural_order))) or "no arrays"
    raise FileFormatError(
        f"{os.fspath(path)!r} holds other arrays than it should.\n"
        f"  required: {required}\n  came    : {shown}\n"
        "Rename the arrays, or leave out those that do not belong."
    )


def _check_layers(layers: Sequence[str], weights: Sequence[Any], biases: Sequence[Any], chained: bool) -> None:
    width: int | None = None
    for layer, weight, bias in zip(layers, weights, biases, strict=True):
        if not chained:
            if weight.ndim < 2 or bias.shape != weight.shape[:1]:
                raise ShapeError(
                    f"layer {layer!r} does not fit.\n  required: weight (m, ...) of two axes or more, and bias (m,)\n"
                    f"  came    : weight {weight.shape} and bias {bias.shape}"
                )
            continue
        fits_before = width is None or weight.shape[-1:] == (width,)
        if weight.ndim != 2 or bias.shape != weight.shape[:1] or not fits_before:
            inputs = "n" if width is None else f"{width} (the outputs of the layer before)"
            raise ShapeError(
                f"layer {layer!r} does not fit.\n"
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
