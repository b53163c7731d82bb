"""What an activation function is: a function of one scalar with its first and second derivatives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from geomkfac.arrays.namespace import Array, Namespace, OrderedNamespace


class Activation(ABC):
    """A function of one scalar, applied to every entry of an array z of any shape."""

    __slots__ = ()

    smooth: ClassVar[bool] = True
    """Whether it has derivatives of every order, everywhere."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name, as `activation` takes it."""

    def value(self, ns: Namespace, z: Array) -> Array:
        """``phi(z)``, of the shape of `z`; `ns` is the namespace of `z`."""
        return self.value_and_derivative(ns, z)[0]

    def derivative(self, ns: Namespace, z: Array) -> Array:
        """``phi'(z)``, of the shape of `z`."""
        return self.value_and_derivative(ns, z)[1]

    @abstractmethod
    def value_and_derivative(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        """``(phi(z), phi'(z))``, with the work that they have in common done once."""

    @abstractmethod
    def second_derivative(self, ns: Namespace, z: Array) -> Array:
        """``phi''(z)``, of the shape of `z`."""


def decay(ns: OrderedNamespace, z: Array) -> Array:
    """``exp(-|z|)``, which cannot overflow."""
    return ns.exp(-ns.abs(z))
