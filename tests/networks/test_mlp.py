"""Fully connected networks: activations that a callable makes."""

from __future__ import annotations

import numpy as np
import pytest

from geomkfac import maps
from geomkfac.errors import UnknownNameError
from geomkfac.maps import CoordinatewiseMap
from geomkfac.networks import MLP


def test_a_callable_makes_the_activation_of_every_hidden_layer_from_its_two_frames() -> None:
    met = []

    def make(source, target):
        met.append((source, target))
        return CoordinatewiseMap(source, target, ("tanh", "relu")[len(met) - 1])

    net, iota = MLP.from_widths((2, 3, 4, 1), make)
    assert [rho.function.name for rho in net.activations] == ["tanh", "relu"]
    assert met == [(iota[rho.domain], iota[rho.codomain]) for rho in net.activations]


@pytest.mark.parametrize("other", [np.tanh, maps.leaky_relu, maps.Tanh, maps.polynomial, abs])
def test_what_makes_no_map_of_two_frames_is_no_activation(other: object) -> None:
    with pytest.raises(UnknownNameError, match="one of 'elu'"):
        MLP.from_widths((2, 3, 1), other)
