"""Windows and borders: against patches formed one by one, SciPy and PyTorch; transposes; refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, floating, windows
from geomkfac.arrays.borders import BORDERS, Borders, padding_of
from geomkfac.arrays.oracles import cross_correlation
from geomkfac.arrays.windows import Windows
from geomkfac.errors import ShapeError, UnknownNameError, ValuesError

FIELD = GF(2147483629)
KINDS = [floating, FIELD]


def integers(ns, rng, *shape):
    """Small integers: sums of their products are exact in float64, so that == is asked for in both kinds."""
    return ns.asarray(rng.integers(-3, 4, size=shape).astype(float if not ns.kind.is_exact else object))


@st.composite
def geometries(draw):
    """Windows of one to three axes that fit."""
    axes = draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(axes))
    stride = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    grid = tuple(d * (k - 1) + 1 + draw(st.integers(0, 4)) for k, d in zip(kernel, dilation, strict=True))
    return Windows(grid, kernel, stride, dilation)


def patches(x, w):
    """Every patch, entry by entry: (N, *out, K, J)."""
    out = np.empty((x.shape[0], *w.out, w.offsets, x.shape[-1]))
    for t in itertools.product(*map(range, w.out)):
        for number, delta in enumerate(itertools.product(*map(range, w.kernel))):
            place = tuple(s * a + d * b for s, a, d, b in zip(w.stride, t, w.dilation, delta, strict=True))
            out[(slice(None), *t, number)] = x[(slice(None), *place)]
    return out


@pytest.mark.parametrize("small_chunks", [False, True])
@given(w=geometries(), seed=st.integers(0, 99), J=st.integers(1, 2), m=st.integers(1, 2))
def test_everything_is_what_single_patches_give(small_chunks, w, seed, J, m):
    ns, rng = floating.default_namespace, np.random.default_rng(seed)
    x, weight = integers(ns, rng, 3, *w.grid, J), integers(ns, rng, m, w.offsets * J)
    u, shares = integers(ns, rng, 3, *w.out, m), np.asarray([1.0, 4.0, 9.0])
    P = patches(x, w).reshape(3, -1, w.offsets * J)
    with pytest.MonkeyPatch.context() as patch:
        if small_chunks:
            patch.setattr(windows, "ENTRIES_AT_ONCE", 1)
        assert np.array_equal(w.patches(ns, x).reshape(P.shape), P)
        assert np.array_equal(w.correlate(ns, x, weight).reshape(3, -1, m), P @ weight.T)
        assert np.array_equal(w.contract(ns, x, u), u.reshape(-1, m).T @ P.reshape(-1, P.shape[-1]))
        rows = np.concatenate([P, np.ones((*P.shape[:2], 1))], axis=2)
        for weights in (None, shares):
            expected = np.einsum("nti,ntj,n->ij", rows, rows, np.ones(3) if weights is None else weights)
            found = w.homogeneous_gram(ns, x, weights)
            assert np.array_equal(found, expected)
            assert np.array_equal(found, found.T)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(w=geometries(), seed=st.integers(0, 99))
def test_transposes_are_transposes(kind, w, seed):
    ns, rng = kind.default_namespace, np.random.default_rng(seed)
    x, weight = integers(ns, rng, 2, *w.grid, 2), integers(ns, rng, 3, w.offsets * 2)
    u = integers(ns, rng, 2, *w.out, 3)
    one = ns.sum(u * w.correlate(ns, x, weight))
    assert ns.equal(one, ns.sum(w.transpose(ns, u, weight) * x))
    assert ns.equal(one, ns.sum(w.contract(ns, x, u) * weight))


@given(w=geometries(), seed=st.integers(0, 99), data=st.data())
def test_a_cropped_transpose_is_the_transpose_cropped(w, seed, data):
    ns, rng = floating.default_namespace, np.random.default_rng(seed)
    weight, u = integers(ns, rng, 2, w.offsets), integers(ns, rng, 1, *w.out, 2)
    crop = [(data.draw(st.integers(0, length - 1)), 0) for length in w.grid]
    whole = w.transpose(ns, u, weight)
    inner = tuple(slice(a, length - b) for (a, b), length in zip(crop, w.grid, strict=True))
    assert np.array_equal(w.transpose(ns, u, weight, crop), whole[(slice(None), *inner)])


def test_a_crop_may_reach_into_what_no_window_sees():
    ns = floating.default_namespace
    u, weight = np.asarray([[[5.0]]]), np.asarray([[1.0]])
    w = Windows((3,), (1,), (3,), (1,))
    assert w.transpose(ns, u, weight).ravel().tolist() == [5.0, 0.0, 0.0]
    assert w.transpose(ns, u, weight, [(2, 0)]).ravel().tolist() == [0.0]
    assert w.transpose(ns, u, weight, [(0, 2)]).ravel().tolist() == [5.0]


@given(w=geometries(), seed=st.integers(0, 99))
def test_the_field_and_floats_agree_on_integers(w, seed):
    rng = np.random.default_rng(seed)
    x, weight = rng.integers(0, 4, (2, *w.grid, 2)), rng.integers(0, 4, (2, w.offsets * 2))
    one, two = floating.default_namespace, FIELD.default_namespace
    for name, first, second in (
        ("correlate", w.correlate(one, x * 1.0, weight * 1.0), w.correlate(two, two.asarray(x), two.asarray(weight))),
        ("gram", w.homogeneous_gram(one, x * 1.0), w.homogeneous_gram(two, two.asarray(x))),
    ):
        assert np.array_equal(first.astype(int), two.to_numpy(second).astype(int)), name


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_correlation_is_scipys(axes):
    ns, rng = floating.default_namespace, np.random.default_rng(axes)
    grid, kernel = (6, 5, 4)[:axes], (3, 2, 2)[:axes]
    w = Windows(grid, kernel, (1,) * axes, (1,) * axes)
    x, weight = integers(ns, rng, 2, *grid, 2), integers(ns, rng, 3, *kernel, 2)
    assert np.array_equal(w.correlate(ns, x, weight.reshape(3, -1)), cross_correlation(x, weight))


# -- borders -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("filled", [name for name in BORDERS if name != "point"])
@given(data=st.data())
def test_copied_borders_are_numpys(filled, data):
    mode = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[filled]
    ns, axes = floating.default_namespace, data.draw(st.integers(1, 2))
    grid = tuple(data.draw(st.integers(2, 4)) for _ in range(axes))
    widths = tuple((data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n - 1))) for n in grid)
    x = integers(ns, np.random.default_rng(0), 2, *grid, 2)
    border = Borders(grid, widths, filled)
    padded = border.pad(ns, x)
    assert np.array_equal(padded, np.pad(x, ((0, 0), *widths, (0, 0)), mode=mode))
    u = integers(ns, np.random.default_rng(1), *padded.shape)
    assert float((u * padded).sum()) == float((border.transpose(ns, u) * x).sum())


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_point_stands_at_every_place_of_its_border(kind):
    ns = kind.default_namespace
    x, value = (
        integers(ns, np.random.default_rng(0), 2, 2, 3, 2),
        ns.asarray([5, 7] if kind.is_exact else np.asarray([5.0, 7.0])),
    )
    border = Borders((2, 3), ((1, 0), (0, 2)))
    padded = border.pad(ns, x, value)
    assert tuple(padded.shape) == (2, 3, 5, 2)
    assert ns.equal(padded[:, 1:, :3, :], x)
    assert ns.equal(padded[:, 0, :, :], ns.broadcast_to(value, (2, 5, 2)))
    assert ns.equal(border.transpose(ns, padded), x)


def test_padding_is_read_in_every_form():
    assert padding_of(2, (3, 3), (1, 1)) == ((2, 2), (2, 2))
    assert padding_of([1, (0, 2)], (3, 3), (1, 1)) == ((1, 1), (0, 2))
    assert padding_of("same", (3, 4), (2, 1)) == ((2, 2), (1, 2))
    assert padding_of("valid", (3,), (1,)) == ((0, 0),)


@pytest.mark.parametrize(
    ("error", "text", "make"),
    [
        (ShapeError, "kernel is larger than the padded map", lambda: Windows((2,), (3,), (1,), (1,))),
        (ShapeError, "larger than the padded map", lambda: Windows((4, 4), (2, 3), (1, 1), (1, 2))),
        (ValuesError, "the stride is made of ints of at least 1", lambda: Windows((4,), (2,), (0,), (1,))),
        (ValuesError, "the dilation is made of ints of at least 1", lambda: Windows((4,), (2,), (1,), (0,))),
        (ShapeError, "one number for every axis", lambda: Windows((4, 4), (2,), (1, 1), (1, 1))),
        (ShapeError, "one number, or one pair, for every axis", lambda: padding_of([1], (3, 3), (1, 1))),
        (ValuesError, "nonnegative ints", lambda: padding_of(-1, (3,), (1,))),
        (ValuesError, "pairs", lambda: padding_of([(1, 2, 3)], (3,), (1,))),
        (UnknownNameError, "'same', 'valid' or numbers", lambda: padding_of("full", (3,), (1,))),
        (ShapeError, "reflect border can be 1 wide", lambda: Borders((2,), ((2, 0),), "reflect")),
        (ShapeError, "circular border can be 2 wide", lambda: Borders((2,), ((0, 3),), "circular")),
        (UnknownNameError, "Did you mean 'reflect'", lambda: Borders((2,), ((0, 1),), "reflects")),
    ],
)
def test_geometries_that_make_no_sense_are_refused(error, text, make):
    with pytest.raises(error, match=text):
        make()
