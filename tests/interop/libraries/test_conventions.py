"""Factors in the conventions of other libraries, against factors that these computed themselves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac.arrays import GF
from geomkfac.errors import KindError, NotPositiveError, ShapeError, SpaceMismatchError, UnknownNameError, ValuesError
from geomkfac.interop import (
    BACKPACK,
    CURVLINOPS,
    CURVLINOPS_SEPARATE,
    KFAC_JAX,
    NNGEOMETRY,
    FactorConvention,
    FactorSetting,
    LayerFactors,
    LayerScaling,
    from_convention,
    layer_scalings,
    to_convention,
)
from geomkfac.testing import convolutional_networks, networks

from .recorded import (
    ARRAYS,
    CONVENTIONS,
    KEYS,
    MIXED_UP,
    N,
    factors_of,
    kfac_metric,
    parts_of,
    rounding,
    terms,
)

IOTA = [key for key in KEYS if key.split(".")[1] == "iota" and key != MIXED_UP]
EPSILON = np.finfo(float).eps


def ours(key, convention=None, **options):
    """This package's factors, as the library would write them down."""
    model, _, library, setting = parts_of(key)
    g = kfac_metric(model.kind, setting.loss, setting.fisher, **options)
    return to_convention(g, model.net, model.iota, convention or CONVENTIONS[library], setting)


def departures(key, found):
    """Relative differences from what was recorded: of A, G and the bias' block, layer by layer."""
    pairs = [
        (getattr(mine, name), getattr(theirs, name))
        for mine, theirs in zip(found, factors_of(key), strict=True)
        for name in ("activations", "gradients", "bias")
        if getattr(theirs, name) is not None
    ]
    return [np.abs(mine - theirs).max() / np.abs(theirs).max() for mine, theirs in pairs]


def is_backpacks_own(key):
    return key.startswith("convolution.iota.backpack")


def test_every_library_was_recorded():
    assert {key.split(".")[2] for key in IOTA} == set(CONVENTIONS)
    assert {name for name in ARRAYS if name.startswith("version")} == {
        f"version.{package}"
        for package in ("curvlinops-for-pytorch", "nngeometry", "backpack-for-pytorch", "kfac-jax", "jax", "torch")
    }


@pytest.mark.parametrize("key", [key for key in IOTA if not is_backpacks_own(key)])
def test_our_factors_in_a_librarys_convention_are_its_factors(key):
    assert max(departures(key, ours(key))) <= rounding(key)


@pytest.mark.parametrize("key", [key for key in IOTA if is_backpacks_own(key)])
def test_backpack_takes_the_gradients_of_a_convolution_summed_over_places(key):
    expand, reduce = departures(key, ours(key)), departures(key, ours(key, sharing="reduce"))
    # A, G, bias of the convolution, then of the dense layer.
    assert max(expand[0], *reduce[1:3], *expand[3:]) <= rounding(key)
    assert min(expand[1], reduce[0]) > 0.1


def test_kfac_jax_mixes_up_the_places_of_several_softmaxes():
    setting = parts_of(MIXED_UP)[3]
    model = parts_of(MIXED_UP)[0]
    with pytest.raises(UnknownNameError, match="mixes up the places"):
        ours(MIXED_UP)
    assert KFAC_JAX.scales(LayerScaling(dataclasses.replace(setting, fisher="sampled"), 2, 2, 2)) == (1.0, 0.5)
    # Each of its factors is what it should be but for G.
    unscaled = dataclasses.replace(KFAC_JAX, gradient_scale=lambda scaling: 1 / scaling.places)
    found = departures(MIXED_UP, ours(MIXED_UP, unscaled))
    assert max(found[::2]) <= 2 * terms(model.net, setting) * EPSILON
    assert min(found[1::2]) > 0.1


# -- wrong conventions are refuted ------------------------------------------------------------------


@pytest.mark.parametrize("key", [key for key in IOTA if key.startswith("convolution")])
def test_the_other_order_of_columns_is_refuted(key):
    convention = CONVENTIONS[parts_of(key)[2]]
    other = {"channel_major": "offset_major", "offset_major": "channel_major"}[convention.columns]
    assert max(departures(key, ours(key, dataclasses.replace(convention, columns=other)))[::2]) > 0.1


@pytest.mark.parametrize("key", [key for key in IOTA if CONVENTIONS[parts_of(key)[2]].is_joint])
def test_the_other_place_of_the_homogeneous_coordinate_is_refuted(key):
    convention = CONVENTIONS[parts_of(key)[2]]
    assert max(departures(key, ours(key, dataclasses.replace(convention, homogeneous="first")))) > 0.1


@pytest.mark.parametrize("field", ["activation_scale", "gradient_scale"])
@pytest.mark.parametrize("key", [key for key in IOTA if not is_backpacks_own(key)])
def test_a_scale_of_one_is_refuted_where_it_is_another(key, field):
    model, _, library, setting = parts_of(key)
    convention = CONVENTIONS[library]
    scales = [getattr(convention, field)(one) for one in layer_scalings(model.net, setting)]
    plain = dataclasses.replace(convention, **{field: lambda scaling: 1.0})
    found = max(departures(key, ours(key, plain)))
    # |1/s - 1| of an exact difference.
    expected = max(abs(1 / scale - 1) for scale in scales)
    assert found == pytest.approx(expected, abs=rounding(key) * (1 + expected))
    assert expected == 0 or expected > 0.1


def test_each_library_but_curvlinops_has_scales_other_than_one_and_curvlinops_has_them_for_squared_losses():
    one = LayerScaling(FactorSetting(N, "cross-entropy"), 6, 3, 1)
    assert CURVLINOPS.scales(one) == CURVLINOPS_SEPARATE.scales(one) == (1.0, 1.0)
    assert BACKPACK.scales(one) == (6.0, 1.0)
    assert NNGEOMETRY.scales(one) == (6 * np.sqrt(2), 1 / (6 * np.sqrt(2)))
    assert KFAC_JAX.scales(one) == (1.0, 1 / 6)
    two = LayerScaling(FactorSetting(N, "squared", "sum"), 6, 3, 1)
    assert CURVLINOPS.scales(two) == (1.0, 2.0 * N)
    assert CURVLINOPS.scales(LayerScaling(FactorSetting(N, "squared", "mean"), 6, 3, 1)) == (1.0, 2 / 3)


# -- the matrix on the library's own parameters -----------------------------------------------------


@pytest.mark.parametrize("name", ["mlp", "convolution", "map"])
def test_the_block_on_the_parameters_of_kfac_jax_is_its_block(name):
    key = f"{name}.iota.kfac-jax.squared.mean"
    model, _, _, setting = parts_of(key)
    recorded = ARRAYS[f"{key}.layer1.block"]
    scaling = layer_scalings(model.net, setting)[0]
    # It orders parameters by name, and 'b' comes before 'w'.
    m, size = model.net.layers[0].codomain.dim, len(recorded)
    order = [*range(size - m, size), *range(size - m)]

    def departure(convention, scaling):
        block = convention.block(factors_of(key)[0], scaling)[np.ix_(order, order)]
        return np.abs(block - recorded).max() / np.abs(recorded).max()

    # A product of two recorded numbers, and a scale, in another order.
    assert departure(KFAC_JAX, scaling) <= 2 * EPSILON
    assert departure(dataclasses.replace(KFAC_JAX, transposed=False), scaling) > 0.1
    assert scaling.places == 1 or departure(KFAC_JAX, None) >= 0.5


@pytest.mark.parametrize("convention", [*CONVENTIONS.values(), FactorConvention("first", "first", "channel_major")])
def test_the_block_is_the_expected_square_of_gradients(convention):
    rng = np.random.default_rng(3)
    n, m = 3, 2
    a, D = np.append(rng.integers(-3, 4, n), 1.0), rng.integers(-3, 4, m).astype(float)
    first = convention.homogeneous == "first"
    A = np.outer(*[np.roll(a, first) if convention.is_joint else a[:n]] * 2)
    G = np.outer(D, D)
    weight = np.outer(a[:n], D) if convention.transposed else np.outer(D, a[:n])
    gradient = np.append(weight.ravel(), D)
    expected = np.outer(gradient, gradient)
    if not convention.is_joint:
        expected[: n * m, n * m :] = expected[n * m :, : n * m] = 0
    assert np.array_equal(convention.block(LayerFactors(A, G)), expected)
    if not convention.is_joint:
        expected[n * m :, n * m :] *= 2
        assert np.array_equal(convention.block(LayerFactors(A, G, 2 * G)), expected)


# -- there and back ---------------------------------------------------------------------------------


@st.composite
def written_down(draw, whole=False):
    """A network, a setting, a convention, and factors: sums of squares of small integers with a corner of 1."""
    net, _, iota = draw(st.one_of(networks(), convolutional_networks()))
    assume(all(len(getattr(stage, "maps", "1")) == 1 for stage in net.stages))
    homogeneous = draw(st.sampled_from(["last", "first", "apart"]))
    columns = draw(st.sampled_from(["channel_major", "offset_major"]))
    scales = [draw(st.sampled_from([0.25, 1.0, 2.0, 8.0] if whole else [1 / 3, 0.7, 11.0])) for _ in range(2)]
    convention = FactorConvention(
        "drawn", homogeneous, columns, activation_scale=lambda _: scales[0], gradient_scale=lambda _: scales[1]
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    factors = []
    for layer in net.layers:
        n, m = layer.domain.dim, layer.codomain.dim
        rows = np.append(rng.integers(-3, 4, (4, n)), np.ones((4, 1)), axis=1)
        A = np.einsum("ki,kj->ij", rows, rows) / 4
        A = A[:n, :n] if homogeneous == "apart" else np.roll(A, homogeneous == "first", (0, 1))
        covectors = rng.integers(-3, 4, (m + 1, m)).astype(float)
        G = covectors.T @ covectors + np.eye(m)
        factors.append(LayerFactors(scales[0] * A, scales[1] * G, scales[1] * G if homogeneous == "apart" else None))
    setting = FactorSetting(draw(st.integers(1, 9)), "squared", draw(st.sampled_from(["mean", "sum"])))
    return net, iota, convention, setting, factors


def there_and_back(net, iota, convention, setting, factors):
    g = from_convention(factors, net, iota, convention, setting)
    return to_convention(g, net, iota, convention, setting)


@given(written_down(whole=True))
def test_there_and_back_is_exact_where_scales_are_powers_of_two(case):
    for before, after in zip(case[-1], there_and_back(*case), strict=True):
        assert np.array_equal(before.activations, after.activations)
        assert np.array_equal(before.gradients, after.gradients)
        assert (before.bias is None) == (after.bias is None)
        assert before.bias is None or np.array_equal(before.bias, after.bias)


@given(written_down())
def test_there_and_back_rounds_four_times_at_most(case):
    for before, after in zip(case[-1], there_and_back(*case), strict=True):
        for name in ("activations", "gradients"):
            one, two = getattr(before, name), getattr(after, name)
            # A scale there, the corner 1, a scale back: the corner's own rounding comes with its division.
            assert np.abs(one - two).max() <= 4 * EPSILON * np.abs(one).max()


@given(written_down(whole=True))
def test_what_is_read_is_the_metric_of_the_same_numbers_in_our_order(case):
    net, iota, convention, setting, factors = case
    g = from_convention(factors, net, iota, convention, setting)
    for layer, scaling, own, block in zip(
        net.layers, layer_scalings(net, setting), factors, g.coordinates(iota).blocks, strict=True
    ):
        n, m = layer.domain.dim, layer.codomain.dim
        K = getattr(layer.domain, "places", 1)
        a, s = convention.scales(scaling)
        dense = block.dense()
        for i in range(n):
            # Our column (k, j), offset by offset, is theirs at k J + j or j K + k.
            k, j = divmod(i, n // K)
            theirs = i if convention.columns == "offset_major" else j * K + k
            theirs += convention.homogeneous == "first"
            expected = own.activations[theirs, theirs] / a * own.gradients / s
            assert np.array_equal(dense[i * m : (i + 1) * m, i * m : (i + 1) * m], expected)
        assert np.array_equal(dense[n * m :, n * m :], own.gradients / s)


@given(written_down(whole=True))
def test_apart_drops_the_cross_block_and_nothing_else(case):
    net, iota, convention, setting, factors = case
    assume(convention.is_joint)
    g = from_convention(factors, net, iota, convention, setting)
    apart = dataclasses.replace(convention, homogeneous="apart")
    separate = from_convention(to_convention(g, net, iota, apart, setting), net, iota, apart, setting)
    for layer, whole, left in zip(
        net.layers, g.coordinates(iota).blocks, separate.coordinates(iota).blocks, strict=True
    ):
        border = layer.domain.dim * layer.codomain.dim
        expected = whole.dense()
        expected[:border, border:] = expected[border:, :border] = 0
        assert np.array_equal(left.dense(), expected)


def small():
    net, iota = gk.MLP.from_widths([1, 1])
    return net, iota, FactorSetting(7, "squared")


A, G = np.array([[5.0, 2.0], [2.0, 1.0]]), np.array([[3.0]])


def test_factors_in_another_gauge_are_written_down_in_ours():
    net, iota, setting = small()
    g = from_convention([(A / 4, 4 * G)], net, iota, CURVLINOPS, setting)
    (layer,) = to_convention(g, net, iota, CURVLINOPS, setting)
    assert np.array_equal(layer.activations, A) and np.array_equal(layer.gradients, G)


def test_the_bias_may_have_another_multiple_or_another_matrix():
    net, iota = gk.MLP.from_widths([1, 2])
    setting, square = FactorSetting(7), np.diag([1.0, 2.0])
    multiple = from_convention([(A[:1, :1], square, 3 * square)], net, iota, CURVLINOPS_SEPARATE, setting)
    assert np.array_equal(multiple.coordinates(iota).blocks[0].dense(), np.diag([5.0, 10.0, 3.0, 6.0]))
    other = from_convention([(A[:1, :1], square, np.diag([7.0, 0.0]))], net, iota, CURVLINOPS_SEPARATE, setting)
    assert np.array_equal(other.parts[0].coordinates(iota), np.diag([5.0, 10.0, 7.0, 0.0]))


@pytest.mark.parametrize(
    ("factors", "error", "text"),
    [
        ([(A.astype(int), G.astype(int))], KindError, "floating-point"),
        ([(A * np.nan, G)], ValuesError, "A of layer 1 must hold finite"),
        ([(A.tolist(), G.tolist())], KindError, "np.asarray"),
        ([(G, A)], ShapeError, "Is the order A, then G"),
        ([(A[:1, :1], G)], ShapeError, "Are weight and bias apart"),
        ([(A, G, G)], ShapeError, "has a block of its bias"),
        ([A], ShapeError, r"\(A, G\)"),
        ([], ShapeError, "factors of 1 layers"),
        ([(A, G)] * 2, ShapeError, "came    : 2"),
        ([(-A, G)], NotPositiveError, "positive semidefinite"),
        ([(np.triu(A), G)], NotPositiveError, "symmetric"),
        ([(A.astype(np.float32), G)], SpaceMismatchError, "float32"),
    ],
)
def test_factors_that_are_none_are_refused(factors, error, text):
    net, iota, setting = small()
    with pytest.raises(error, match=text):
        from_convention(factors, net, iota, CURVLINOPS, setting)


def test_networks_without_a_convention_are_refused():
    net, iota, setting = small()
    g = from_convention([(A, G)], net, iota, CURVLINOPS, setting)
    other, other_iota = gk.MLP.from_widths([1, 1])
    with pytest.raises(SpaceMismatchError, match="required: a K-FAC metric"):
        to_convention(g, other, other_iota, CURVLINOPS, setting)
    exact, exact_iota = gk.MLP.from_widths([1, 1], kind=GF(2147483629))
    with pytest.raises(KindError, match="floating point"):
        from_convention([(A, G)], exact, exact_iota, CURVLINOPS, setting)
    recurrent, _ = gk.RecurrentNetwork.from_widths(1, 1, 1, 2)
    with pytest.raises(SpaceMismatchError, match="fully connected and convolutional"):
        layer_scalings(recurrent, setting)
    grouped, _ = gk.ConvolutionalNetwork.from_shape((3,), 2, [gk.Convolution(2, 2, groups=2), gk.Dense(1)])
    with pytest.raises(SpaceMismatchError, match="groups = 1"):
        layer_scalings(grouped, setting)


def test_settings_without_a_scale_are_refused():
    wrong = [({"loss": "hinge"}, "'squared'"), ({"reduction": "none"}, "'sum'"), ({"fisher": "mc"}, "'exact'")]
    for options, text in wrong:
        with pytest.raises(UnknownNameError, match=text):
            FactorSetting(3, **options)
    for data in (0, 2.0, True):
        with pytest.raises(ValuesError, match="positive int"):
            FactorSetting(data)
    scaling = LayerScaling(FactorSetting(3, fisher="empirical"), 1, 1, 1)
    for convention in (NNGEOMETRY, BACKPACK, KFAC_JAX):
        with pytest.raises(UnknownNameError, match="'empirical'"):
            convention.scales(scaling)
