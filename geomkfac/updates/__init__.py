"""Update rules over the array contract: run exactly to learn what they are invariant to, and as optimizers."""

from __future__ import annotations

from geomkfac.updates.damped_kfac import DampedKfac
from geomkfac.updates.diagonal import DiagonalFisher, QuasiDiagonalNaturalGradient, UnitwiseNaturalGradient
from geomkfac.updates.ekfac import EigenvalueCorrectedKfac
from geomkfac.updates.gradient_descent import GradientDescent
from geomkfac.updates.kfac import Foof, Kfac
from geomkfac.updates.natural_gradient import NaturalGradient
from geomkfac.updates.newton import Newton
from geomkfac.updates.rule import LayerToUpdate, NetworkToUpdate, Update
from geomkfac.updates.shampoo import PolarStep, Shampoo

__all__ = [  # noqa: RUF022 - in the order in which the docs teach them
    "Update",
    "NetworkToUpdate",
    "LayerToUpdate",
    "GradientDescent",
    "Newton",
    "NaturalGradient",
    "Kfac",
    "DampedKfac",
    "Foof",
    "EigenvalueCorrectedKfac",
    "DiagonalFisher",
    "QuasiDiagonalNaturalGradient",
    "UnitwiseNaturalGradient",
    "Shampoo",
    "PolarStep",
]
