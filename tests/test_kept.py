"""Results are computed once and kept by their owner; spaces and frames are one object for all threads."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import pytest

from geomkfac.kept import Kept, interned, kept
from geomkfac.maps import AffineMaps
from geomkfac.metrics import DenseTensor
from geomkfac.spaces import AffineSpace, DenseFrame, Hom, Hull, PowerSpace, ProductSpace, TensorProduct, VectorSpace

THREADS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Owner:
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    _kept: Kept = field(init=False, default_factory=Kept)

    @kept
    def nothing(self) -> None:
        self.calls.append(("nothing",))

    @kept
    def plus(self, x: int, y: int) -> object:
        self.calls.append(("plus", x, y))
        return object()

    @kept
    def refused(self) -> None:
        self.calls.append(("refused",))
        raise ValueError("not now")


def test_each_result_is_computed_once_for_each_list_of_arguments() -> None:
    owner = Owner()
    assert owner.nothing() is None
    assert owner.nothing() is None
    assert owner.plus(1, 2) is owner.plus(1, 2)
    assert owner.plus(1, 2) is not owner.plus(2, 1)
    assert owner.calls == [("nothing",), ("plus", 1, 2), ("plus", 2, 1)]
    assert Owner().plus(1, 2) is not owner.plus(1, 2)


def test_an_error_is_not_kept() -> None:
    owner = Owner()
    for _ in range(2):
        with pytest.raises(ValueError, match="not now"):
            owner.refused()
    assert owner.calls == [("refused",)] * 2


@pytest.mark.parametrize("copied", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy], ids=["pickle", "deepcopy"])
def test_results_stay_behind_where_their_owner_is_copied(copied: Callable[[Any], Any]) -> None:
    e = VectorSpace("V", 2).frame("e")
    metric = DenseTensor.from_coordinates(np.eye(2), e)
    covector = e.dual.space.from_coordinates(np.ones(2), e.dual)
    # A solver holds a function of its own, which cannot be pickled.
    metric.sharp(covector)
    assert copied(metric).sharp(covector).coordinates(e).tolist() == [1.0, 1.0]


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads that take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def asked_at_once(ask: Callable[[], Any]) -> list[Any]:
    """What each of `THREADS` threads gets that ask together."""
    start = threading.Barrier(THREADS)

    def wait_and_ask(_: int) -> Any:
        start.wait()
        return ask()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(wait_and_ask, range(THREADS)))


def affine() -> AffineSpace:
    return AffineSpace("A", 2)


def vectors() -> VectorSpace:
    return VectorSpace("V", 2)


def dense() -> DenseFrame:
    return vectors().frame("e").dense_change(np.asarray([[1.0, 1.0], [0.0, 1.0]]))


ASKED: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "reference frame": (affine, lambda A: A._reference_frame()),
    "direction": (affine, lambda A: A.direction),
    "dual": (vectors, lambda V: V.dual),
    "hull": (affine, Hull),
    "maps": (vectors, lambda V: Hom(V, V.dual)),
    "tensors": (vectors, lambda V: TensorProduct(V, V.dual)),
    "product": (affine, lambda A: ProductSpace(A, A).direction.dual),
    "power": (affine, lambda A: PowerSpace(A, (2, 2)).direction.dual),
    "affine maps": (affine, lambda A: AffineMaps(A, A).direction.dual),
    "linear frame": (lambda: affine().frame("iota"), lambda iota: iota.linear),
    "dual frame": (lambda: affine().frame("iota"), lambda iota: iota.dual),
    "frame of the hull": (lambda: affine().frame("iota"), lambda iota: iota.hull.dual),
    "dual of a dense frame": (dense, lambda frame: frame.dual),
}


@pytest.mark.parametrize("asked", ASKED)
def test_threads_that_ask_at_once_get_one_object(asked: str, impatient: None) -> None:
    make, ask = ASKED[asked]
    for _ in range(20):
        of = make()
        found = asked_at_once(lambda of=of: ask(of))
        assert {id(one) for one in found} == {id(ask(of))}


def test_of_a_dense_frame_the_dual_is_dual_to_it(impatient: None) -> None:
    frame = dense()
    assert {id(one) for one in asked_at_once(lambda: frame.dual.dual)} == {id(frame)}


def test_a_table_is_filled_once_for_all_threads(impatient: None) -> None:
    class Made:
        pass

    made: list[Made] = []

    def make() -> Made:
        made.append(Made())
        return made[-1]

    table: WeakValueDictionary[str, Made] = WeakValueDictionary()
    found = asked_at_once(lambda: interned(table, "one", make))
    assert len(made) == 1
    assert {id(one) for one in found} == {id(made[0])}


def test_a_table_without_a_lock_gives_threads_different_objects() -> None:
    """The check above can fail: here all are let in before any has stored anything."""
    table: dict[str, object] = {}
    inside = threading.Barrier(THREADS)

    def careless() -> object:
        if "one" not in table:
            inside.wait()
            table["one"] = made = object()
            return made
        return table["one"]

    assert len({id(one) for one in asked_at_once(careless)}) > 1
