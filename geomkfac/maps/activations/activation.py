"""What an activation function is: a function of one scalar with its first and second derivatives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace, OrderedNamespace


@final
@dataclass(frozen=True, slots=True)
class InPyTorch:
    """What PyTorch calls an activation, in words: nothing of it is imported.

    Attributes
    ----------
    module : of torch.nn: ``"LeakyReLU"``
    function : of torch or torch.nn.functional, with the module's arguments; empty where there is none
    parameters : what the activation's own parameters are called there: ``{"slope": "negative_slope"}``
    settings : arguments with which the module is this activation: ``{"approximate": "tanh"}``
    """

    module: str
    function: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)


class Activation(ABC):
    """A function of one scalar, applied to every entry of an array z of any shape."""

    __slots__ = ()

    smooth: ClassVar[bool] = True
    """Whether it has derivatives of every order, everywhere."""

    pytorch: ClassVar[InPyTorch | None] = None
    """What it is called in PyTorch; None where PyTorch has it not."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name, as `activation` takes it."""

    @property
    def formula(self) -> str:
        """``phi(z)`` as SymPy reads it, in z and the activation's own parameters; empty where nobody wrote it down."""
        return ""

    @property
    def positively_homogeneous(self) -> bool:
        """Whether ``phi(c z) = c phi(z)`` for every number c > 0."""
        return False

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
