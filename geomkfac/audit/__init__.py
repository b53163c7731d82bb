"""The invariance audit: what an optimizer is invariant to.

The module may be called: ``geomkfac.audit(optimizer)`` is ``geomkfac.audit.audit(optimizer)``.
"""

from __future__ import annotations

import sys
from types import ModuleType

from geomkfac.audit.auditing import audit
from geomkfac.audit.catalogues.file import Catalogue
from geomkfac.audit.catalogues.making import catalogue
from geomkfac.audit.contestants.contestant import UnauditableError
from geomkfac.audit.contestants.modules import ModuleToUpdate, ModuleUpdate, on_module
from geomkfac.audit.contestants.rules import on_rule
from geomkfac.audit.counterexample import Counterexample, counterexample
from geomkfac.audit.symmetries import symmetries
from geomkfac.audit.twins.groups import GROUPS, ChangeOfBasis, Group, LossScale, OfUnits, Stored, subgroups
from geomkfac.audit.twins.problem import ARCHITECTURES, Problem, problem_of, random_problem
from geomkfac.audit.twins.twin import Twin
from geomkfac.audit.varied_options import Variation, vary
from geomkfac.audit.verdicts.report import AuditReport, Finding

__all__ = [  # noqa: RUF022 - in the order in which the docs teach them
    "audit",
    "AuditReport",
    "Finding",
    "UnauditableError",
    "on_rule",
    "on_module",
    "ModuleToUpdate",
    "ModuleUpdate",
    "vary",
    "Variation",
    "counterexample",
    "Counterexample",
    "symmetries",
    "catalogue",
    "Catalogue",
    "GROUPS",
    "Group",
    "ChangeOfBasis",
    "OfUnits",
    "LossScale",
    "Stored",
    "subgroups",
    "ARCHITECTURES",
    "Problem",
    "Twin",
    "problem_of",
    "random_problem",
]


class _Audit(ModuleType):
    """A module that is also the function after which it is named."""

    __call__ = staticmethod(audit)


sys.modules[__name__].__class__ = _Audit
