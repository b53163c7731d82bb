"""Architectures: read from text, put together, refused where they make no sense."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import geomkfac as gk
from geomkfac import errors
from geomkfac.arrays import GF
from geomkfac.maps import elu, gelu, leaky_relu, polynomial, silu, tanh
from geomkfac.networks import architecture
from geomkfac.spaces import AffineSpace

C, D, P = gk.Convolution, gk.Dense, gk.AveragePooling
from_shape = gk.ConvolutionalNetwork.from_shape


def test_a_line_of_text_is_the_list_that_it_describes():
    text = "convolution(8, (3, 2), padding='same', groups=2)   tanh average max(3, stride=2) dense(10)"
    assert architecture(text) == [C(8, (3, 2), padding="same", groups=2), tanh, P(), gk.MaxPooling(3, stride=2), D(10)]


def test_activations_with_parameters_are_stages():
    line = "dense(3) leaky_relu(0.2) dense leaky_relu dense elu(alpha = 2) dense polynomial(0, 1/2) dense gelu"
    assert architecture(line)[1::2] == [leaky_relu(0.2), leaky_relu(), elu(2), polynomial(0, Fraction(1, 2)), gelu]
    net, _ = from_shape((2,), 1, "dense(3) leaky_relu(0.2) dense(2) silu dense(2)")
    assert [stage.map.function for stage in net.stages[1::2]] == [leaky_relu(0.2), silu]


@pytest.mark.parametrize(
    ("error", "text", "line"),
    [
        (errors.ValuesError, "at least one stage", "  "),
        (errors.ValuesError, "cannot be read", "convolution(3"),
        (errors.ValuesError, "arguments of 'dense' make no sense", "dense(2, 3)"),
        (errors.ValuesError, "arguments of 'dense' make no sense", "dense(open('x'))"),
        (errors.ValuesError, "a stage is a name", "3"),
        (errors.UnknownNameError, "Did you mean 'tanh'", "convolution tahn"),
        (errors.UnknownNameError, "no stage with arguments is called 'conv'.*max.*leaky_relu, elu", "conv(3)"),
        (errors.ValuesError, "cannot be read(.|\\n)*2 were given", "dense leaky_relu(1, 2)"),
    ],
)
def test_text_that_makes_no_sense_is_refused(error, text, line):
    with pytest.raises(error, match=text):
        architecture(line)


def test_groups_are_spaces_of_their_own():
    """Every group has its own bases: a change of one leaves the others, and the function, alone."""
    net, iota = from_shape((4,), 4, [C(4, 2, groups=2), "tanh", C(2, 1, groups=2), "tanh", D(2)])
    names = [space.name for space in iota]
    assert names == ["A0", "A0'.1", "A0'.2", "Z1.1", "Z1.2", "A1.1", "A1.2", "Z2.1", "Z2.2", "A2", "Z3"]
    assert len(net.layers) == 5
    weights = net.random_weights(np.random.default_rng(0), iota)
    space = next(space for space in iota if space.name == "A1.2")
    kappa = iota.change({space: (np.asarray([[1.0, 2.0], [0.0, 1.0]]), np.asarray([1.0, -1.0]))})
    x = net.inputs.from_coordinates(np.random.default_rng(1).standard_normal((3, 4, 4)), iota)
    one, two = net(weights, x).coordinates(iota), net(weights.expressed_in(kappa), x).coordinates(iota)
    assert np.abs(one - two).max() <= 1000 * np.finfo(float).eps * np.abs(one).max()
    arrays = net.to_arrays(weights, iota)
    assert [W.shape for W, _ in arrays] == [(4, 2, 2), (2, 2, 1), (2, 6)]


def test_any_smooth_map_may_be_an_activation():
    def doubled(source, target):
        return gk.CoordinatewiseMap(source, target, polynomial(0, 2))

    net, iota = from_shape((3,), 1, [C(1, 1), doubled, P()])
    weights = net.weights_from_arrays([np.ones((1, 1, 1))], [np.zeros(1)], iota)
    x = net.inputs.from_coordinates(np.asarray([[[1.0], [2.0], [6.0]]]), iota)
    assert net(weights, x).coordinates(iota).tolist() == [[6.0]]


@pytest.mark.parametrize(
    ("error", "text", "make"),
    [
        (
            errors.ShapeError,
            "kernel is larger than the padded map",
            lambda: from_shape((3,), 1, [C(1, 5, padding=(0,))]),
        ),
        (
            errors.ValuesError,
            "the stride is made of ints of at least 1",
            lambda: from_shape((3,), 1, [C(1, 2, stride=0)]),
        ),
        (errors.ValuesError, "the dilation", lambda: from_shape((3,), 1, [C(1, 2, dilation=0)])),
        (errors.ShapeError, "the kernel needs one number", lambda: from_shape((3, 3), 1, [C(1, (2, 2, 2))])),
        (errors.ShapeError, "the padding needs one number", lambda: from_shape((3, 3), 1, [C(1, 2, padding=(1,))])),
        (errors.ShapeError, "3 channels do not divide into 2 groups", lambda: from_shape((3,), 3, [C(2, 2, groups=2)])),
        (errors.ShapeError, "3 channels do not divide into 2 groups", lambda: from_shape((3,), 2, [C(3, 2, groups=2)])),
        (errors.ValuesError, "groups must be a positive int", lambda: from_shape((3,), 2, [C(2, 2, groups=0)])),
        (
            errors.ShapeError,
            "one coordinate for every channel",
            lambda: from_shape((3,), 2, [C(2, 2, border=np.ones(3))]),
        ),
        (
            errors.UnknownNameError,
            "unknown border 'mirror'",
            lambda: from_shape((3,), 1, [C(1, 2, padding=1, border="mirror")]),
        ),
        (errors.ValuesError, "Convolution needs its kernel here", lambda: from_shape((3,), 1, [C(1)])),
        (errors.ValuesError, "Dense needs its width here", lambda: from_shape((3,), 1, [D()])),
        (errors.ValuesError, "width of Dense must be a positive int", lambda: from_shape((3,), 1, [D(0)])),
        (errors.ShapeError, "at least one stage with weights", lambda: from_shape((3,), 1, ["tanh"])),
        (errors.ShapeError, "one place left", lambda: from_shape((3,), 1, [D(2), C(1, 1)])),
        (errors.ShapeError, "one place left", lambda: from_shape((3,), 1, [D(2), P(2)])),
        (errors.ShapeError, "kernel is larger", lambda: from_shape((3,), 1, [C(1, 2), P(3)])),
        (errors.ShapeError, "positive number of channels", lambda: from_shape((3,), 0, [D(2)])),
        (errors.ValuesError, "a grid is made of positive ints", lambda: from_shape((0,), 1, [D(2)])),
        (errors.UnknownNameError, "activation", lambda: from_shape((3,), 1, [C(1, 2), "tahn", D(2)])),
        (errors.ValuesError, "a network of its own", lambda: from_shape((3,), 1, "recurrence")),
    ],
)
def test_networks_that_make_no_sense_are_refused(error, text, make):
    with pytest.raises(error, match=text):
        make()


def test_arrays_that_do_not_fit_are_refused():
    from_arrays = gk.ConvolutionalNetwork.from_arrays
    W, b, V, c = np.ones((3, 2, 2)), np.ones(3), np.ones((2, 9)), np.ones(2)
    for error, text, arguments in (
        (errors.ShapeError, "one bias for each weight", ([W], [], (4,), [C()])),
        (errors.KindError, "must be arrays", ([[1.0]], [b], (4,), [C()])),
        (errors.ShapeError, "more stages with weights than the 1", ([W], [b], (4,), [C(), D()])),
        (errors.ShapeError, "1 stages with weights; 2 weights came", ([W, V], [b, c], (4,), [C()])),
        (errors.ShapeError, "must have 3 axes", ([V], [c], (4,), [C()])),
        (errors.ShapeError, "must have 2 axes", ([W, W], [b, b], (4,), [C(), D()])),
        (errors.ShapeError, "said to have 5 outputs", ([W], [b], (4,), [C(5)])),
        (errors.ShapeError, "said to have kernel 3", ([W], [b], (4,), [C(kernel=3)])),
        (errors.ShapeError, r"layer 2 has weight \(2, 9\)", ([W, np.ones((2, 8))], [b, c], (4,), [C(), D()])),
        (errors.ShapeError, r"layer 1 has weight \(3, 2, 2\) and bias", ([W], [c], (4,), [C()])),
    ):
        with pytest.raises(error, match=text):
            from_arrays(*arguments)


def test_data_of_another_shape_are_refused():
    net, iota = from_shape((4, 4), 1, [C(2, 3), "tanh", C(2, 2)])
    weights = net.random_weights(np.random.default_rng(0), iota)
    with pytest.raises(errors.ShapeError, match=r"\(batch, 4, 4, 1\)|must have shape"):
        iota.sample(np.zeros((3, 1, 4, 4)))
    data = iota.sample(np.zeros((3, 4, 4, 1)), np.zeros(3, dtype=int))
    with pytest.raises(errors.ShapeError, match="an output at every place"):
        net.loss(weights, data, gk.Categorical().on(iota))
    with pytest.raises(errors.UnknownNameError, match="'expand', 'reduce', 'kfc'"):
        net.kfac_metric(weights, data, gk.EuclideanMetric(iota[net.outputs]), sharing="mean")
    other = AffineSpace("other", 2)
    with pytest.raises(errors.SpaceMismatchError, match="the outputs of this network"):
        net.kfac_metric(weights, data, gk.EuclideanMetric(other.frame("o")))


def test_max_pooling_needs_order_and_takes_the_first_of_equals():
    net, iota = from_shape((4,), 1, [C(1, 1), gk.MaxPooling(2)], kind=GF(2147483629))
    weights = net.random_weights(np.random.default_rng(0), iota)
    with pytest.raises(errors.KindError, match="max pooling needs an ordered kind"):
        net(weights, net.inputs.from_coordinates([[[1], [2], [3], [4]]], iota))
    net, iota = from_shape((4,), 1, [C(1, 1), gk.MaxPooling(2)])
    weights = net.weights_from_arrays([np.ones((1, 1, 1))], [np.zeros(1)], iota)
    data = iota.sample(np.asarray([[[1.0], [1.0], [2.0], [3.0]]]), np.zeros((1, 2, 1)))
    dh = net.differential(weights, data, gk.Gaussian().on(iota)).coordinates(iota)[0]
    # The outputs are 1 and 3, and so are their derivatives; each goes to one place alone.
    assert dh.tolist() == [[1.0 * 1.0 + 3.0 * 3.0, 1.0 + 3.0]]
