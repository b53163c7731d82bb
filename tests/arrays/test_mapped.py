"""Arrays that stay in their files."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays.mapped import MappedRows, is_mapped, open_mapped, read_rows, rows_of
from geomkfac.errors import FileFormatError


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mapped") / "X.npy"
    np.save(path, np.arange(60.0).reshape(12, 5))
    return path


@given(st.integers(0, 12), st.integers(0, 12))
def test_rows_of_a_map_are_read_where_they_are_wanted(path: Path, start: int, stop: int) -> None:
    start, stop = sorted((start, stop))
    X = open_mapped(path)
    rows = rows_of(X, start, stop)
    assert isinstance(rows, MappedRows)
    sent = pickle.loads(pickle.dumps(rows))
    assert (read_rows(sent) == np.arange(60.0).reshape(12, 5)[start:stop]).all()
    assert type(read_rows(sent)) is np.ndarray


def test_maps_in_fortran_order_and_of_other_dtypes_are_read_as_well(tmp_path: Path) -> None:
    y = np.asfortranarray(np.arange(12, dtype=np.int32).reshape(4, 3))
    np.save(tmp_path / "y.npy", y)
    assert (read_rows(rows_of(open_mapped(tmp_path / "y.npy"), 1, 3)) == y[1:3]).all()


def test_a_part_of_a_map_gives_its_own_rows(path: Path) -> None:
    part = open_mapped(path)[3::2]
    assert is_mapped(part)
    rows = rows_of(part, 1, 3)
    assert not isinstance(rows, MappedRows)
    assert (rows == np.arange(60.0).reshape(12, 5)[5:9:2]).all()


def test_what_was_written_to_a_copy_is_taken_from_it(path: Path) -> None:
    copied = np.load(path, mmap_mode="c")
    copied[:] = 777.0
    assert (read_rows(pickle.loads(pickle.dumps(rows_of(copied, 1, 3)))) == 777.0).all()
    assert (open_mapped(path)[1:3] != 777.0).all()


def test_another_array_in_the_place_of_the_file_is_noticed(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.ones((4, 2)))
    rows = rows_of(open_mapped(tmp_path / "X.npy"), 0, 2)
    np.save(tmp_path / "X.npy", np.ones((8, 2), np.float32))  # of as many bytes
    with pytest.raises(FileFormatError, match="another array stands in it now"):
        read_rows(rows)


def test_arrays_in_memory_give_views() -> None:
    X = np.arange(6.0)
    assert not is_mapped(X)
    assert np.shares_memory(rows_of(X, 1, 3), X)


def test_a_file_that_has_gone_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.ones((4, 2)))
    X = open_mapped(tmp_path / "X.npy")
    rows = rows_of(X, 0, 2)
    (tmp_path / "X.npy").unlink()
    with pytest.raises(FileFormatError, match=r"X\.npy.*cannot be mapped"):
        read_rows(rows)
    with pytest.raises(FileFormatError, match=r"X\.npy.*cannot be mapped"):
        rows_of(X, 2, 4)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0), (1,), (2, 3, 4)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_map_of_any_shape_is_what_numpy_saved(tmp_path: Path, shape: tuple[int, ...], order: str) -> None:
    array = np.asarray(np.arange(np.prod(shape, dtype=int), dtype=">f4").reshape(shape), order=order)
    np.save(tmp_path / "X.npy", array)
    mapped = open_mapped(tmp_path / "X.npy")
    assert is_mapped(mapped)
    assert (mapped.dtype, mapped.shape, mapped.flags.f_contiguous) == (array.dtype, shape, array.flags.f_contiguous)
    assert mapped.tolist() == array.tolist()


HEADER = b"{'descr': '<f8', 'fortran_order': False, 'shape': (4, 2), }"
HEADERS = {
    "cut within": (b"{'descr': '<f8', 'shape': (40, 5", "no dictionary"),
    "truth values as sizes": (HEADER.replace(b"4", b"True"), "shape"),
    "a size beyond all": (HEADER.replace(b"4", b"1" + b"0" * 23), "shape"),
    "many minus signs": (HEADER.replace(b"4", b"-" * 5000 + b"4"), "shape"),
    "more than the file has": (HEADER.replace(b"4", b"5"), "takes"),
    "less than the file has": (HEADER.replace(b"4", b"3"), "takes"),
    "a terabyte": (HEADER.replace(b"4", b"1000000000000"), "takes"),
    "raw bytes": (HEADER.replace(b"<f8", b"<V1000000000"), "numbers or text"),
}


@pytest.mark.parametrize(("header", "said"), HEADERS.values(), ids=HEADERS.keys())
def test_a_header_that_the_file_does_not_bear_out_is_refused(tmp_path: Path, header: bytes, said: str) -> None:
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    (tmp_path / "X.npy").write_bytes(content + bytes(64))
    with pytest.raises(FileFormatError, match=said):
        open_mapped(tmp_path / "X.npy")


@pytest.mark.parametrize("content", [b"", b"no array", None])
def test_what_is_no_array_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "X.npy"
    if content is None:
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    else:
        path.write_bytes(content)
    with pytest.raises(FileFormatError, match="cannot be mapped"):
        open_mapped(path)
