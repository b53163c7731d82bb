"""The invariance audit: what an optimizer is invariant to."""

from __future__ import annotations

from geomkfac.audit.problem import GROUPS, Transformation
from geomkfac.audit.runs import UnauditableError
from geomkfac.audit.verdicts import AuditReport, Finding, audit

__all__ = ["GROUPS", "AuditReport", "Finding", "Transformation", "UnauditableError", "audit"]
