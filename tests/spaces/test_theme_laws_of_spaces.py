"""Every sort of space satisfies its axioms, over every kind of scalar, and under gauge fuzzing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import GF, Kind, floating, rational
from geomkfac.maps import AffineMaps
from geomkfac.spaces import (
    AffineSpace,
    Direction,
    Hom,
    Hull,
    ProductSpace,
    ProductVectorSpace,
    Space,
    TensorProduct,
    VectorSpace,
)
from geomkfac.spaces.frames.change import SlotChange
from geomkfac.testing import LawViolatedError, check_space_laws, gauge_fuzzing, namespaces, spaces

SEEDS = st.integers(0, 2**32 - 1)
KINDS = {"GF(p)": GF(2**31 - 1), "Q": rational, "floating": floating}
kind_parameter = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


@kind_parameter
@given(data=st.data(), seed=SEEDS)
def test_every_sort_of_space_satisfies_its_axioms(kind: Kind, data: st.DataObject, seed: int) -> None:
    space = data.draw(spaces(kind))
    ns = data.draw(namespaces(kind))
    check_space_laws(space, np.random.default_rng(seed), ns=ns)


@kind_parameter
@pytest.mark.parametrize("draws", ["general", "dyadic"])
@given(data=st.data(), seed=SEEDS)
def test_the_axioms_hold_while_every_hidden_frame_is_drawn_anew(
    kind: Kind, draws: Any, data: st.DataObject, seed: int
) -> None:
    space = data.draw(spaces(kind, max_dim=2))
    rng = np.random.default_rng(seed)
    with gauge_fuzzing(np.random.default_rng(seed + 1), draws):
        check_space_laws(space, rng)


@kind_parameter
@pytest.mark.parametrize("dim", [0, 1])
def test_spaces_of_dimension_zero_and_one_satisfy_the_axioms(kind: Kind, dim: int) -> None:
    rng = np.random.default_rng(0)
    V, A = VectorSpace("V", dim, kind), AffineSpace("A", dim, kind)
    for space in (V, V.dual, A, A.direction, Hull(A), Hom(V, Hull(A)), AffineMaps(A, A), ProductSpace(A, A)):
        check_space_laws(space, rng)


def test_the_laws_refuse_a_translation_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AffineSpace, "_change", lambda self, f, g: SlotChange((self._flat_change(f, g).linear(),)))
    with pytest.raises(LawViolatedError, match="broken"):
        check_space_laws(AffineSpace("A", 2, GF(101)), np.random.default_rng(0))


def test_the_laws_refuse_a_direction_that_changes_by_the_inverse(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Direction._slot_changes
    monkeypatch.setattr(Direction, "_slot_changes", lambda self, f, g: right(self, g, f))
    for kind in (GF(101), floating):
        with pytest.raises(LawViolatedError, match="broken"):
            check_space_laws(AffineSpace("A", 2, kind), np.random.default_rng(0))


def test_the_laws_refuse_a_dual_that_changes_as_the_space_does(monkeypatch: pytest.MonkeyPatch) -> None:
    from geomkfac.spaces import Dual

    right = VectorSpace._slot_changes
    monkeypatch.setattr(
        Dual,
        "_slot_changes",
        lambda self, f, g: right(self.of, f.parts[0], g.parts[0]),  # type: ignore[arg-type]
    )
    for kind in (GF(101), floating):
        with pytest.raises(LawViolatedError, match=r"pairing|phi"):
            check_space_laws(VectorSpace("V", 2, kind), np.random.default_rng(0))


def test_derived_spaces_are_interned_and_dual_twice_is_the_space_itself() -> None:
    U, V, A, Z = VectorSpace("U", 2), VectorSpace("V", 3), AffineSpace("A", 2), AffineSpace("Z", 1)
    pairs: list[tuple[Space, Space]] = [
        (V.dual, V.dual),
        (V.dual.dual, V),
        (A.direction, A.direction),
        (Hull(A), A.hull),
        (Hom(U, V), Hom(U, V)),
        (TensorProduct(U, V), TensorProduct(U, V)),
        (AffineMaps(A, Z), AffineMaps(A, Z)),
        (AffineMaps(A, Z).direction, Hom(Hull(A), Z.direction)),
        (ProductSpace(A, Z), ProductSpace(A, Z)),
        (ProductSpace(A, Z).direction, ProductVectorSpace(A.direction, Z.direction)),
        (ProductVectorSpace(U, V).dual, ProductVectorSpace(U.dual, V.dual)),
        (Hom(U, V).dual.dual, Hom(U, V)),
    ]
    for left, right in pairs:
        assert left is right


def test_spaces_with_one_name_are_different_spaces() -> None:
    assert VectorSpace("V", 2) is not VectorSpace("V", 2)
    assert TensorProduct(*2 * [V := VectorSpace("V", 2)]) is not Hom(V, V)
