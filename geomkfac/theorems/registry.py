"""All statements, chapter by chapter, in the order of the ledger."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from types import ModuleType
from typing import NoReturn

from geomkfac.errors import UnknownNameError
from geomkfac.theorems.engine.statement import Statement
from geomkfac.theorems.ledger import (
    errata_gm,
    errata_j_nn,
    errata_lg,
    errata_shared,
    gk_1,
    gk_2,
    gk_3,
    gk_7,
    gk_9,
    gm_damping,
    gm_factors,
    gm_invariance,
    gm_training,
    j_descent,
    j_fisher,
    j_updates,
    lg_2_1,
    lg_2_1_fisher,
    lg_2_1_layers,
    lg_2_2,
    lg_2_2_maps,
    lg_3_1,
    lg_3_1_tanh,
    lg_3_2,
    lg_3_3,
    lg_3_4,
    lg_3_5,
    lg_3_5_remarks,
    lg_4,
    lg_4_kfac,
    lg_5,
    nn_hessian_free,
    nn_kfac,
    nn_kronecker,
    nn_newton,
)

_MODULES: tuple[ModuleType, ...] = (
    lg_2_1,
    lg_2_1_fisher,
    lg_2_1_layers,
    lg_2_2,
    lg_2_2_maps,
    lg_3_1,
    lg_3_1_tanh,
    lg_3_2,
    lg_3_3,
    lg_3_4,
    lg_3_5,
    lg_3_5_remarks,
    lg_4,
    lg_4_kfac,
    lg_5,
    j_descent,
    j_fisher,
    j_updates,
    nn_newton,
    nn_hessian_free,
    nn_kronecker,
    nn_kfac,
    gm_damping,
    gm_factors,
    gm_invariance,
    gm_training,
    gk_1,
    gk_2,
    gk_3,
    gk_7,
    gk_9,
    errata_lg,
    errata_gm,
    errata_shared,
    errata_j_nn,
)

_ORDER = {
    "LG 2: background": (
        "LG-2.2 LG-2.1.1-KL LG-2.1.2 LG-2.8 LG-2.9/2.10 LG-laws LG-T2.1 LG-1-perm LG-2.2.2 LG-2.2.3 LG-2.12 "
        "LG-2.2.4 LG-2.2.5"
    ),
    "LG 3: multilayer perceptrons": (
        "LG-3.3 LG-3.4 LG-3.1-tanh LG-T3.1 LG-E3.2 LG-E3.3 LG-E3.4 LG-3.4-ev LG-L3.5 LG-T3.6a LG-T3.6b LG-P3.7 "
        "LG-R3.8 LG-3.7 LG-D3.9 LG-T3.10 LG-functor LG-R3.11 LG-R3.12"
    ),
    "LG 4: convolutional networks": "LG-4.2/4.3 LG-4.4 LG-4.5/LG-D4.3 LG-T4.2 LG-T4.4",
    "LG 5: recurrent networks": "LG-5.3/LG-D5.3 LG-T5.2 LG-T5.4",
    "LG appendix: tangent spaces and tensors": "LG-TA.1/LG-CA.2 LG-A.1/LG-A.2",
    "J: natural gradients": "J-8/17 J-13 J-4-damp J-19..22 J-38 J-40..43 J-46..48 J-49..52 J-53/54 J-8-store",
    "GM: damping and quadratic models": "GM-9/10 GM-32/33 GM-36..38 GM-39..44",
    "GM: convolution": "GM-L1/GM-T1 GM-T2 GM-3.1 GM-L2/GM-L3/GM-T3 GM-T4 GM-Alg1",
    "NN: second-order optimization": (
        "NN-3..5 NN-6 NN-8/9 NN-2.3 NN-10/11 NN-12..14 NN-15..21 NN-22/23 NN-24 NN-25 NN-5.5 NN-26/27 NN-Alg1 NN-PST"
    ),
    "Beyond the sources": "GK-1 GK-2 GK-3 GK-4 GK-5 GK-6 GK-7 GK-8 GK-9 GK-10 GK-11 GK-12",
    "Errata": (
        "E1 E2 E3 E4 E5 E6 E7 E8 E9 E10 E11 E12 E13 E14 E15 E16 E17 E18 E19 E20 E21 E22 E23 E24 E25 E26 E27 E28 "
        "E29 E30 E31 E32 E33 E34 E35 E36 E37 E38 E39"
    ),
}
"""The ledger's ids, chapter by chapter."""

STATEMENTS: dict[str, Statement] = {
    statement.id: statement
    for found in [{one.id: one for module in _MODULES for one in module.STATEMENTS}]
    for ids in _ORDER.values()
    for statement in (found[id] for id in ids.split())
}
"""Statements by their id in the ledger."""

CHAPTERS: dict[str, tuple[Statement, ...]] = {
    chapter: tuple(STATEMENTS[id] for id in ids.split()) for chapter, ids in _ORDER.items()
}
"""The statements of each chapter of the ledger."""


def find(ids: Iterable[str] = ()) -> list[Statement]:
    """The statements of these ids, in the order given; all of them, in the order of the ledger, for none.

    An id of several numbers is found by each: ``"LG-2.9/2.10"`` by ``"LG-2.10"``, ``"J-49..52"`` by ``"J-50"``.

    Raises
    ------
    UnknownNameError : an id is not one of them; it names the nearest.
    """
    by_spelling = {name: one for one in STATEMENTS.values() for name in spellings(one.id)} | STATEMENTS
    found = [by_spelling[name] if name in by_spelling else _unknown(name, list(by_spelling)) for name in ids]
    return list(dict.fromkeys(found)) or list(STATEMENTS.values())


def _unknown(name: object, known: list[str]) -> NoReturn:
    near = get_close_matches(str(name), known, n=3, cutoff=0.5)
    nearest = f"The nearest are {', '.join(map(repr, near))}." if near else "None is near."
    raise UnknownNameError(
        f"unknown statement {name!r}.\n  required: an id of the ledger, such as 'LG-T2.1', 'J-50' or 'E9'\n"
        f"  came    : {name!r}\n{nearest}  All of them: geomkfac verify --list"
    )


def spellings(id: str) -> Iterator[str]:
    """The names by which an id is found: itself, and each number of a pair or a range.

    Examples
    --------
    >>> list(spellings("J-49..51"))
    ['J-49..51', 'J-49', 'J-50', 'J-51']
    """
    yield id
    source, _, numbers = id.partition("-")
    bounds = re.fullmatch(r"(\d+)\.\.(\d+)", numbers)
    if bounds:
        yield from (f"{source}-{number}" for number in range(int(bounds[1]), int(bounds[2]) + 1))
    elif "/" in id:
        yield from (part if part.startswith(f"{source}-") else f"{source}-{part}" for part in id.split("/"))
