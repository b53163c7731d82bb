"""Headers of ``.npy`` files: what NumPy writes is read as NumPy reads it, and nothing else is believed."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from geomkfac.arrays.npy import KINDS, read_header, read_numbers

DTYPES = ["<f8", ">f8", "<f4", "<f2", "<c16", "|b1", "|i1", "<i8", ">i2", "<u4", "<U3", ">U1", "|S5"]


def with_header(text: str | bytes, numbers: bytes = b"", version: int = 1) -> bytes:
    encoded = text if isinstance(text, bytes) else text.encode()
    length = struct.pack("<H" if version == 1 else "<I", len(encoded))
    return b"\x93NUMPY" + bytes([version, 0]) + length + encoded + numbers


def read(content: bytes) -> Any:
    file = io.BufferedReader(io.BytesIO(content))  # type: ignore[arg-type]
    header = read_header(file)
    header.check(len(content))
    return read_numbers(file, header.dtype, header.shape, header.order)


def same(left: Any, right: Any) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes("A") == right.tobytes("A")


SHAPES = array_shapes(min_dims=0, min_side=0, max_side=4)


@given(st.sampled_from(DTYPES), SHAPES, st.booleans(), st.sampled_from([1, 2, 3]))
def test_what_numpy_writes_is_read_as_numpy_reads_it(
    dtype: str, shape: tuple[int, ...], fortran: bool, version: int
) -> None:
    numbers = np.arange(np.prod(shape, dtype=int)).astype("u1" if dtype == "|b1" else dtype)
    array = np.asarray((numbers % 2 if dtype == "|b1" else numbers).astype(dtype).reshape(shape), order="CF"[fortran])
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=(version, 0))
    assert same(read(file.getvalue()), np.load(io.BytesIO(file.getvalue())))
    assert same(read(file.getvalue()), array)


@pytest.mark.parametrize(
    "text",
    [
        "{'shape': (2,), 'fortran_order': False, 'descr': '<f8'}",
        '{"descr":"<f8","fortran_order":False,"shape":(2,)}\n',
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2L,), }   \n",
        " { 'descr' : '<f8' , 'fortran_order' : True , 'shape' : ( 2 , ) , } ",
    ],
)
def test_a_header_may_be_spelled_in_other_ways(text: str) -> None:
    assert read(with_header(text, np.array([1.0, 2.0]).tobytes())).tolist() == [1.0, 2.0]


def header(descr: str = "'<f8'", order: str = "False", shape: str = "(2,)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


HEADERS = {
    "cut within": ("{'descr': '<f8', 'shape': (40, 5", "no dictionary"),
    "a truth value as a size": (header(shape="(True, 5)"), "shape"),
    "a size beyond all": (header(shape=f"({10**18}, {10**18})"), "more entries than any memory holds"),
    "a size of many digits": (header(shape=f"({10**23},)"), "shape"),
    "a size of 5000 digits": (header(shape=f"({'9' * 5000},)"), "shape"),
    "no entries, and beyond all": (header(shape=f"(0, {2**62})"), "more entries than any memory holds"),
    "more axes than any array": (header(shape=f"({'1,' * 65})"), "65 axes"),
    "a negative size": (header(shape="(-2,)"), "shape"),
    "a size as a fraction": (header(shape="(2.0,)"), "shape"),
    "a number for a shape": (header(shape="(2)"), "shape"),
    "a list for a shape": (header(shape="[2]"), "array of numbers"),
    "no size": (header(shape="(,)"), "shape"),
    "many minus signs": (header(shape="-" * 5000 + "1"), "array of numbers"),
    "many brackets": ("(" * 9000, "no dictionary"),
    "a key of another kind": ("{1: 2, " + header()[1:], "array of numbers"),
    "an unhashable key": ("{[]: 2, " + header()[1:], "array of numbers"),
    "an entry twice": (header()[:-1] + "'shape': (2,)}", "array of numbers"),
    "an entry too many": (header()[:-1] + "'more': (2,)}", "other entries"),
    "an entry too few": ("{'descr': '<f8', 'shape': (2,)}", "other entries"),
    "no comma": ("{'descr': '<f8' 'fortran_order': False, 'shape': (2,)}", "array of numbers"),
    "another order": (header(order="1"), "True or False"),
    "Python objects": (header("'|O'"), "numbers or text"),
    "raw bytes": (header("'<V1000000000'"), "numbers or text"),
    "fields": (header("[('a', '<f8')]"), "array of numbers"),
    "dates": (header("'<M8[ns]'"), "numbers or text"),
    "no such float": (header("'<f3'"), "numbers or text"),
    "text beyond all": (header("'<U999999999'"), "numbers or text|bytes, where"),
    "text of no characters": (header("'<U0'"), "numbers or text"),
    "Unicode digits": (header(shape="(²,)"), "ascii"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize(("text", "said"), HEADERS.values(), ids=HEADERS.keys())
def test_a_header_that_declares_no_array_of_numbers_is_refused(text: str, said: str, version: int) -> None:
    with pytest.raises(ValueError, match=said):
        read(with_header(text, bytes(16), version))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"no \.npy"),
        (b"\x93NUMPY\x01", r"no \.npy"),
        (b"\x93NUMPY\x04\x00" + bytes(99), r"version 4\.0"),
        (b"\x93NUMPY\x01\x01" + bytes(99), r"version 1\.1"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "4294967295 bytes"),
        (with_header(b" " * 10_001), "10001 bytes"),
        (with_header(header())[:30], "cut"),
        (with_header(b"\xff", version=3), "ascii"),
        (with_header(header()[:-1].encode() + b"\xa0}", bytes(16)), "ascii"),
        (with_header(header()[:-1] + "\x0b}", bytes(16)), "no dictionary"),
        (with_header(header(), bytes(15)), "takes"),
        (with_header(header(), bytes(17)), "takes"),
        (with_header(header(shape="(1000000000000, 5)"), bytes(99)), "takes"),
        (with_header(header("'|b1'"), b"\x01\x02"), "neither 0 nor 1"),
    ],
)  # fmt: skip
def test_bytes_that_are_no_array_are_refused(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(content)


def test_numbers_that_end_early_are_refused() -> None:
    with pytest.raises(ValueError, match="ends after less than the 24 bytes"):
        read_numbers(io.BufferedReader(io.BytesIO(bytes(16))), np.dtype("<f8"), (3,))  # type: ignore[arg-type]


def test_objects_are_of_no_kind_that_is_read() -> None:
    assert "O" not in KINDS
    assert "V" not in KINDS
