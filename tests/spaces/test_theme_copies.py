"""Pickling and copying: base spaces and frames keep their identity, also across a process boundary."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geomkfac
from geomkfac.arrays import GF, Kind, floating, rational
from geomkfac.maps import AffineMaps
from geomkfac.spaces import AffineSpace, Hom, Hull, Parameterization, ProductSpace, TensorProduct, VectorSpace
from geomkfac.testing import integer_array

KINDS = {"GF(p)": GF(2**31 - 1), "Q": rational, "floating": floating}
kind_parameter = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}
every_copy = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES.keys())


def things(kind: Kind) -> dict[str, Any]:
    """Spaces and frames of every sort."""
    ns = kind.default_namespace
    A, Z, V = AffineSpace("A", 2, kind), AffineSpace("Z", 1, kind), VectorSpace("V", 2, kind)
    iota, zeta, e = A.frame("iota"), Z.frame("zeta"), V.frame("e")
    kappa = iota.change(integer_array(ns, [[1, 1], [0, 1]]), integer_array(ns, [1, 2]))
    maps = AffineMaps(A, Z)
    return {
        "A": A,
        "V": V,
        "dual": V.dual,
        "direction": A.direction,
        "hull": Hull(A),
        "hom": Hom(V, A.direction),
        "tensor": TensorProduct(V, V.dual),
        "maps": maps,
        "product": ProductSpace(A, maps),
        "iota": iota,
        "kappa": kappa,
        "reference": A._reference_frame(),
        "hull frame": kappa.hull,
        "maps frame": maps.frame(kappa, zeta),
        "product frame": ProductSpace(A, maps).frame(iota, maps.frame(kappa, zeta)),
        "dense": e.dense_change(integer_array(ns, [[1, 1], [0, 1]])),
        "kind": kind,
        "namespace": ns,
    }


@kind_parameter
@every_copy
def test_a_copy_of_a_space_or_frame_is_the_same_object(copied: Callable[[Any], Any], kind: Kind) -> None:
    for name, thing in things(kind).items():
        assert copied(thing) is thing, name


@kind_parameter
@every_copy
def test_a_copy_of_an_element_is_the_same_element(copied: Callable[[Any], Any], kind: Kind) -> None:
    found, ns = things(kind), kind.default_namespace
    p = found["A"].from_coordinates(integer_array(ns, [[1, 2], [3, 4]]), found["kappa"])
    again = copied(p)
    assert again.space is p.space
    assert ns.equal(again.coordinates(found["iota"]), p.coordinates(found["iota"]))
    assert ns.is_zero((again - p).coordinates(found["kappa"].linear))


PROGRAM = """
import pickle, sys
from geomkfac.maps import AffineMaps
from geomkfac.spaces import Hull

found, p, w, kappa = pickle.loads(sys.stdin.buffer.read())
A, iota = found["A"], found["iota"]
checks = [
    p.space is A,
    found["direction"] is A.direction,
    found["hull"] is Hull(A),
    found["dual"].dual is found["V"],
    iota.space is A,
    found["kappa"]._parent is iota,
    found["reference"] is A._reference_frame(),
    found["hull frame"] is found["kappa"].hull,
    kappa[A] is found["kappa"],
    w.space is found["maps"],
    found["kind"].default_namespace is found["namespace"],
]
value = w(p + (p - p) * 2)
sys.stdout.buffer.write(pickle.dumps((checks, value, p.space, value.space, iota, found["dense"])))
"""


@kind_parameter
def test_identity_survives_a_process_boundary_and_the_way_back(kind: Kind) -> None:
    found, ns = things(kind), kind.default_namespace
    p = found["A"].from_coordinates(integer_array(ns, [[1, 2], [3, 4]]), found["kappa"])
    maps = found["maps"]
    w = maps.from_coordinates(integer_array(ns, [[1, 2, 3]]), found["maps frame"])
    zeta = found["maps frame"].parts[1]
    kappa = Parameterization([found["kappa"], zeta])
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=pickle.dumps((found, p, w, kappa)),
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(geomkfac.__file__).parents[1])},
    )
    checks, value, domain, codomain, iota, dense = pickle.loads(result.stdout)
    assert all(checks), checks
    assert domain is found["A"]
    assert codomain is maps.codomain
    assert iota is found["iota"]
    assert dense is found["dense"]
    assert ns.equal(value.coordinates(zeta), w(p).coordinates(zeta))


def test_a_space_made_in_another_process_is_not_one_of_ours() -> None:
    program = "import pickle, sys; from geomkfac.spaces import AffineSpace as S\n"
    program += "sys.stdout.buffer.write(pickle.dumps(S('A', 2)))"
    environment = {**os.environ, "PYTHONPATH": str(Path(geomkfac.__file__).parents[1])}
    A = AffineSpace("A", 2)
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=environment).stdout
    other = pickle.loads(made)
    assert other is not A
    assert pickle.loads(made) is other
    assert np.array_equal(
        other.from_coordinates(np.ones(2), other.frame("i")).coordinates(other._reference_frame()), np.ones(2)
    )
