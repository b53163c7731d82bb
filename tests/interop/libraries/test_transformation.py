"""Whether the factors that libraries compute for a model and for its twin are one metric."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac.errors import VacuousCheckError
from geomkfac.interop import (
    CURVLINOPS,
    CURVLINOPS_SEPARATE,
    NNGEOMETRY,
    FactorSetting,
    LayerFactors,
    to_convention,
    transforms_as_metric,
)
from geomkfac.testing import changes_of_basis

from ...data.record_libraries import written_in
from .recorded import CONVENTIONS, KEYS, factors_of, parts_of

TWINS = [key for key in KEYS if key.split(".")[1] == "kappa"]
NAIVE = [key for key in KEYS if key.split(".")[1] == "naive"]
JOINT = [key for key in TWINS if CONVENTIONS[parts_of(key)[2]].is_joint]


def twin_of(key):
    """Its model's frames: iota, and those of the twin."""
    one = parts_of(key)[0]
    return one.iota, one.iota.change(written_in(one, "kappa")[1])


def report(key, *, here=None, there=None, convention=None):
    one, frame, library, setting = parts_of(key)
    here = here or factors_of(key.replace(frame, "iota"))
    return transforms_as_metric(
        here, there or factors_of(key), one.net, *twin_of(key), convention or CONVENTIONS[library], setting
    )


# -- what the libraries computed --------------------------------------------------------------------


def test_twins_were_recorded_of_every_library():
    assert {key.split(".")[2] for key in TWINS} == set(CONVENTIONS)
    assert {key.split(".")[0] for key in TWINS} == {"mlp", "convolution", "map"}


@pytest.mark.parametrize("key", JOINT)
def test_factors_with_weight_and_bias_in_one_block_transform(key):
    found = report(key)
    assert found.verdict == "transforms"
    assert all(layer.discrepancy <= layer.floor < 1e-10 and not layer.reason for layer in found.layers)


@pytest.mark.parametrize("key", [key for key in TWINS if key not in JOINT])
def test_factors_with_weight_and_bias_apart_do_not_where_activations_are_translated(key):
    found = report(key)
    assert found.verdict == "does not"
    for layer in found.layers:
        translated = "translation" in layer.changed[0]
        assert layer.verdict == ("does not" if translated else "transforms")
        assert (layer.discrepancy > 0.5) == translated
        assert ("the cross block of weight and bias is missing" in layer.reason) == translated
        # G has nothing to do with it.
        assert layer.gap.gradients <= layer.floor and layer.gap.missing_cross
    # The translation that was drawn for the activations of the convolution is zero.
    assert [len(layer.reason) > 0 for layer in found.layers] == [True, not key.startswith("convolution")]


@pytest.mark.parametrize("key", NAIVE)
def test_a_twin_padded_with_its_own_zeros_is_another_function_and_does_not(key):
    found = report(key)
    assert [layer.verdict for layer in found.layers] == ["does not"] * 2
    assert all(layer.discrepancy > 0.1 for layer in found.layers)
    assert {"linear part of A", "G"} <= set(found.layers[1].parts)


def test_the_document_has_these_verdicts():
    text = (Path(__file__).parents[3] / "docs" / "libraries.md").read_text(encoding="utf-8")
    for library in CONVENTIONS:
        found = [
            report(f"{name}.{frame}.{library}.cross-entropy.mean").verdict
            for name, frame in (("mlp", "kappa"), ("convolution", "kappa"), ("convolution", "naive"))
        ]
        assert f"| {library} | {' | '.join(found)} |" in text


# -- faults planted in them -------------------------------------------------------------------------


def changed(factors, layer, **parts):
    """With functions applied to the parts of one layer; None for every layer."""
    found = []
    for index, one in enumerate(factors):
        chosen = layer is None or index == layer
        own = {name: getattr(one, name) for name in parts if chosen and getattr(one, name) is not None}
        found.append(dataclasses.replace(one, **{name: parts[name](array) for name, array in own.items()}))
    return found


def damped(gamma):
    return lambda matrix: matrix + gamma * np.eye(len(matrix))


def both(key, layer, **parts):
    """The report where both models' factors are changed in the same way."""
    return report(
        key,
        here=changed(factors_of(key.replace("kappa", "iota")), layer, **parts),
        there=changed(factors_of(key), layer, **parts),
    )


@pytest.mark.parametrize("gamma", [1e-10, 1e-3])
@pytest.mark.parametrize("key", JOINT)
def test_a_damping_by_the_identity_is_found_in_the_layers_whose_spaces_changed(key, gamma):
    found = both(key, None, activations=damped(gamma), gradients=damped(gamma))
    first, second = found.layers
    assert first.verdict == second.verdict == "does not"
    assert "G" in first.parts
    # The outputs have the same frame in both: there the identity is one form.
    assert "linear part of A" in second.parts and "G" not in second.parts
    assert 1e-3 * gamma < first.discrepancy < 1e3 * gamma


@pytest.mark.parametrize("key", JOINT)
def test_the_layer_and_the_factor_are_named(key):
    of_A = both(key, 1, activations=damped(0.1))
    assert [layer.verdict for layer in of_A.layers] == ["transforms", "does not"]
    assert "linear part of A differs by" in of_A.layers[1].reason and "G" not in of_A.layers[1].reason
    of_G = both(key, 0, gradients=damped(0.1))
    assert [layer.verdict for layer in of_G.layers] == ["does not", "transforms"]
    assert of_G.layers[0].parts == ("G",) and of_G.layers[0].reason.startswith("G differs by ")
    apart = next(one for one in TWINS if one.split(".")[0] == key.split(".")[0] and one not in JOINT)
    mixed = both(apart, 0, gradients=damped(0.1), bias=damped(0.1)).layers[0].reason
    assert "is missing" in mixed and ", G differs by " in mixed
    scaled = report(key, there=changed(factors_of(key), 0, gradients=lambda G: 3 * G))
    assert scaled.layers[0].parts == ("scale",)
    assert scaled.layers[0].reason == "a pure scale: there the product is 3 times what it is here"


@pytest.mark.parametrize("key", JOINT)
def test_a_scalar_moved_from_one_factor_to_the_other_is_the_same_metric(key):
    found = report(key, there=changed(factors_of(key), None, activations=lambda A: 4 * A, gradients=lambda G: G / 4))
    assert [layer.discrepancy for layer in found.layers] == [layer.discrepancy for layer in report(key).layers]


@pytest.mark.parametrize("key", JOINT)
def test_wrong_conventions_do_not_transform(key):
    convention = CONVENTIONS[parts_of(key)[2]]
    assert report(key, convention=dataclasses.replace(convention, homogeneous="first")).verdict == "does not"
    other = {"channel_major": "offset_major", "offset_major": "channel_major"}[convention.columns]
    turned = report(key, convention=dataclasses.replace(convention, columns=other))
    assert turned.verdict == ("transforms" if key.startswith("mlp") else "does not")


@pytest.mark.parametrize("key", JOINT)
def test_a_dropped_homogeneous_coordinate_is_found(key):
    """What is left of joint factors when the rows of the 1 are thrown away, as with weight and bias apart."""
    apart = dataclasses.replace(CONVENTIONS[parts_of(key)[2]], homogeneous="apart")
    here, there = (
        [LayerFactors(one.activations[:-1, :-1], one.gradients) for one in factors_of(name)]
        for name in (key.replace("kappa", "iota"), key)
    )
    found = report(key, here=here, there=there, convention=apart)
    assert "the cross block of weight and bias is missing" in found.layers[0].reason


# -- laws -------------------------------------------------------------------------------------------


@st.composite
def networks(draw):
    """A smooth network of one to three layers, with weights of size 1, and data."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        widths = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
        net, iota = gk.MLP.from_widths(widths, draw(st.sampled_from(["tanh", "logistic", "softplus"])))
        shape = (widths[0],)
    else:
        grid, channels = (draw(st.integers(2, 4)), 3), draw(st.integers(1, 2))
        border = draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
        stages = [gk.Convolution(2, (2, 2), padding=draw(st.integers(0, 1)), border=border), "tanh"]
        stages.append(draw(st.sampled_from([gk.Dense(2), gk.Convolution(2, (1, 1))])))
        net, iota = gk.ConvolutionalNetwork.from_shape(grid, channels, stages)
        shape = (*grid, channels)
    X = rng.standard_normal((draw(st.integers(1, 6)), *shape))
    return net, net.random_weights(rng, iota), X, iota


def twin_frames(draw, net, iota, *, translated):
    """Other frames of every space but the outputs'."""
    changes = {}
    for space in iota:
        if space is not net.outputs:
            matrix, vector = draw(changes_of_basis(space.dim, space.kind, translated=True))
            # Twice, so that no space keeps its frame.
            changes[space] = 2.0 * np.asarray(matrix), np.asarray(vector) * float(translated)
    return iota.change(changes)


def computed(net, weights, X, iota, frames, convention, **options):
    """This package's factors, computed from the arrays of the model in `frames`, as a library would store them."""
    points = net.inputs.from_coordinates(X, iota).coordinates(frames)
    pairs = net.to_arrays(weights, frames)
    Ws, bs = ([np.ascontiguousarray(pair[part]) for pair in pairs] for part in (0, 1))
    again = net.weights_from_arrays(Ws, bs, frames)
    g = net.kfac_metric(again, frames.sample(np.ascontiguousarray(points)), gk.Gaussian().on(iota), **options)
    return to_convention(g, net, frames, convention, FactorSetting(len(X), "squared"))


def report_of(case, kappa, convention, **options):
    net, _, X, iota = case
    here, there = (computed(*case, frames, convention, **options) for frames in (iota, kappa))
    return transforms_as_metric(here, there, net, iota, kappa, convention, FactorSetting(len(X), "squared"))


def decided(found):
    """One datum may leave a unit 1e-6 and less, which a translation by 1 drowns: such examples are left out."""
    assume(found.layers[0].floor < 1e-3)
    return found


@given(networks(), st.sampled_from([CURVLINOPS, NNGEOMETRY]), st.sampled_from(["expand", "reduce"]), st.data())
def test_kfac_factors_of_twins_transform(case, convention, sharing, data):
    kappa = twin_frames(data.draw, case[0], case[3], translated=True)
    assert decided(report_of(case, kappa, convention, sharing=sharing)).verdict == "transforms"


@given(networks(), st.data())
def test_weight_and_bias_apart_transform_where_nothing_is_translated(case, data):
    kappa = twin_frames(data.draw, case[0], case[3], translated=False)
    assert decided(report_of(case, kappa, CURVLINOPS_SEPARATE)).verdict == "transforms"


@given(networks(), st.data())
def test_a_translation_of_some_activations_is_heard_at_the_layers_that_take_them(case, data):
    net, _, _, iota = case
    domains = {getattr(layer.domain, "base", layer.domain): None for layer in net.layers}
    moved = data.draw(st.sampled_from(list(domains)))
    kappa = iota.change({moved: (None, np.ones(moved.dim))})
    found = decided(report_of(case, kappa, CURVLINOPS_SEPARATE))
    for layer, one in zip(net.layers, found.layers, strict=True):
        takes_them = getattr(layer.domain, "base", layer.domain) is moved
        assert one.changed == (("activations: translation",) if takes_them else ())
        assert one.verdict == ("does not" if takes_them else "transforms")


# -- what cannot be decided -------------------------------------------------------------------------


def perceptron(dtype=float, mixed=1.0):
    """Joint factors of one layer, and of its twin, of whose inputs the first is x1 + mixed x2."""
    net, iota = gk.MLP.from_widths([2, 1])
    kappa = iota.change({net.inputs: (np.array([[1.0, mixed], [0.0, 1.0]]), None)})
    X = np.array([[1.0, 2.0], [-1.0, 1.0], [2.0, -1.0]])
    pair = []
    for frames in (iota, kappa):
        ones = np.column_stack([net.inputs.from_coordinates(X, iota).coordinates(frames), np.ones(3)]).astype(dtype)
        pair.append([(ones.T @ ones / dtype(3), np.eye(1, dtype=dtype))])
    return net, iota, kappa, pair


@pytest.mark.parametrize(
    ("dtype", "mixed", "verdict"),
    [(float, 8.0, "transforms"), (float, 1e7, "undecided"), (np.float32, 8.0, "transforms"),
     (np.float32, 1e4, "undecided")],
)  # fmt: skip
def test_a_change_that_drowns_the_factors_in_rounding_is_undecided(dtype, mixed, verdict):
    net, iota, kappa, (here, there) = perceptron(dtype, mixed)
    found = transforms_as_metric(here, there, net, iota, kappa, CURVLINOPS, FactorSetting(3, "squared"))
    assert found.verdict == verdict
    assert found.dtype == np.dtype(dtype).name
    assert ("compute the factors in float64" in str(found)) == (verdict == "undecided")


def test_units_of_any_size_cost_no_digits():
    """Numbers cancel where coordinates are mixed, not where they are scaled."""
    net, iota, _, (here, _) = perceptron()
    units = np.array([1e-6, 1e6, 1.0])
    kappa = iota.change({net.inputs: (np.diag(units[:2]), None)})
    there = [(here[0][0] * np.outer(units, units), here[0][1])]
    found = transforms_as_metric(here, there, net, iota, kappa, CURVLINOPS, FactorSetting(3, "squared"))
    assert found.verdict == "transforms"
    assert found.condition == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["relu", "softplus"])
def test_a_kink_is_named_where_it_may_be_the_reason(name):
    """Behind a dead ReLU and a zero bias the pre-activation is 0, in other coordinates a zero that was computed."""
    net, iota = gk.MLP.from_widths([1, 2, 1], name)
    kappa = iota.change({net.inputs: (np.array([[3.0]]), None)})
    ones = np.column_stack([[1.0, 2.0], np.ones(2)])
    here = [(ones.T @ ones / 2, np.eye(2)), (np.diag([0.0, 0.0, 1.0]), np.eye(1))]
    scaled = np.diag([3.0, 1.0]) @ here[0][0] @ np.diag([3.0, 1.0])
    setting = FactorSetting(2, "squared")
    for G, verdict in ((np.eye(2), "transforms"), (np.diag([1.0, 0.0]), "does not")):
        found = transforms_as_metric(here, [(scaled, G), here[1]], net, iota, kappa, CURVLINOPS, setting)
        assert found.verdict == verdict
        assert ("stands on a kink" in str(found)) == (name == "relu" and verdict == "does not")


def test_a_unit_that_cancellation_made_small_has_few_digits():
    """Four data, of which the hidden unit is 1e-7 where its bias is 1: seven digits less."""
    net, weights, iota = gk.MLP.from_arrays([np.array([[1.0]]), np.array([[1.0]])], [np.array([-1.0]), np.zeros(1)])
    X = 1 + 1e-7 * np.array([[1.0], [2.0], [-1.0], [3.0]])
    kappa = iota.change({net.inputs: (3.0 * np.eye(1), np.array([0.7]))})
    found = report_of((net, weights, X, iota), kappa, CURVLINOPS)
    assert found.verdict == "transforms" and found.spread > 1e6
    # The unit is what 1 left of 1: its own digits differ by far more than rounding of its size.
    assert found.layers[1].discrepancy > 1e3 * np.finfo(float).eps


def test_frames_that_are_the_same_are_refused():
    net, iota, _, (here, _) = perceptron()
    with pytest.raises(VacuousCheckError, match=r"kappa = iota\.change"):
        transforms_as_metric(here, here, net, iota, iota, CURVLINOPS, FactorSetting(3, "squared"))


def test_the_report_prints_a_line_for_each_layer_and_a_reason_under_it():
    key = "convolution.kappa.curvlinops-separate.cross-entropy.mean"
    first, *lines = str(report(key)).splitlines()
    assert first.startswith("curvlinops, weight and bias apart: does not transform as a metric  (float64, condition ")
    assert [line.split()[:2] for line in lines[::2]] == [["layer", "1"], ["layer", "2"]]
    assert lines[1].endswith("Put weight and bias in one block.")
    assert "[activations: linear and translation; pre-activations: linear and translation]" in lines[0]
