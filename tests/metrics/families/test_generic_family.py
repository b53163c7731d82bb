"""The generic family: free covectors, the same at outputs that were met, in whatever frame these are stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.arrays import GF, Draws
from geomkfac.errors import KindError
from geomkfac.testing import integer_array

FIELD = GF(2**31 - 1)
NS = FIELD.default_namespace


def family(covectors: int = 3) -> tuple[Any, Any]:
    Z = gk.AffineSpace("Z", 2, FIELD)
    zeta = Z.frame("z")
    return gk.GenericFamily(zeta, np.random.default_rng(0), covectors), zeta


def test_outputs_that_were_met_have_the_same_covectors_in_whatever_frame_they_are_stored() -> None:
    generic, zeta = family()
    z = zeta.space.from_coordinates(integer_array(NS, [[1, 2], [3, 4]]), zeta)
    moved = z.expressed_in(zeta.change(integer_array(NS, [[1, 1], [0, 1]]), integer_array(NS, [5, 6])))
    assert generic.differential(z, None) == generic.differential(moved, None)
    first, second = generic.fisher(z), generic.fisher(moved)
    assert first.covectors == second.covectors
    assert first.covectors.batch_shape == (3, 2)
    assert NS.equal(first.weights, second.weights)
    # Free: neither is made of the other.
    assert first.covectors[0] != generic.differential(z, None)


def test_other_outputs_have_fresh_covectors() -> None:
    generic, zeta = family()
    one, other = (zeta.space.from_coordinates(integer_array(NS, rows), zeta) for rows in ([[1, 2]], [[1, 3]]))
    assert generic.differential(one, None) != generic.differential(other, None)
    assert generic.fisher(one).covectors != generic.fisher(other).covectors


def test_it_has_no_losses_no_targets_and_no_floating_point() -> None:
    generic, zeta = family()
    z = zeta.space.from_coordinates(integer_array(NS, [[1, 2]]), zeta)
    with pytest.raises(KindError, match="no loss values"):
        generic.loss(z, None)
    with pytest.raises(KindError, match="draws no targets"):
        generic.sampled(z, Draws(0), 0, 1)
    with pytest.raises(KindError, match="over an exact kind"):
        gk.GenericFamily(gk.AffineSpace("Z", 2).frame("z"), np.random.default_rng(0), 1)
