"""What a catalogue audits: optimizers of packages, reference rules, and updates of K-FAC libraries, by their names."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
import platform
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import Any, final

from geomkfac.audit.contestants.choosing import contestant_of
from geomkfac.audit.contestants.contestant import UnauditableError, import_torch
from geomkfac.audit.contestants.named import imported, named_optimizer, with_options
from geomkfac.errors import UnknownNameError
from geomkfac.version import __version__

PACKAGES = ("torch.optim", "pytorch_optimizer")
"""Packages whose optimizers are audited where nothing else is asked for."""
RULE_PACKAGE, LIBRARY_PACKAGE = "geomkfac.updates", "geomkfac.audit.libraries"

RULES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("GradientDescent", {}),
    ("GradientDescent", {"momentum": Fraction(1, 2)}),
    ("Newton", {}),
    ("Newton", {"damping": 1}),
    ("NaturalGradient", {}),
    ("NaturalGradient", {"damping": 1}),
    ("Kfac", {}),
    ("Kfac", {"joint": False}),
    ("Kfac", {"damping": 1}),
    ("Kfac", {"keep": 2}),
    ("Kfac", {"keep": 2, "start": "identity"}),
    ("DampedKfac", {"damping": 2}),
    ("DampedKfac", {"damping": 2, "kind": "relative"}),
    ("DampedKfac", {"damping": 2, "kind": "factored"}),
    ("DampedKfac", {"damping": 2, "by": "first"}),
    ("EigenvalueCorrectedKfac", {}),
    ("Foof", {}),
    ("DiagonalFisher", {}),
    ("QuasiDiagonalNaturalGradient", {}),
    ("UnitwiseNaturalGradient", {}),
    ("Shampoo", {}),
    ("PolarStep", {}),
)
"""Reference rules, with options."""
NONDEGENERATE = ("NaturalGradient", "Newton")
"""Rules whose metric, without damping, is all but degenerate on a large network with few data."""
ELSEWHERE = {
    "laplace-torch": "it makes posteriors of K-FAC matrices, and no update",
}
"""K-FAC libraries that have nothing to audit."""


@final
@dataclass(frozen=True)
class Entry:
    """Something to audit.

    Attributes
    ----------
    package : under which it is listed
    name : as shown
    where : ``module:name``
    options : that it is made with
    call : whether ``module:name`` is a function without arguments that gives it
    widths, rate, data : of the network, the learning rate, and how many data, where these are not those of the others
    """

    package: str
    name: str
    where: str
    options: Mapping[str, Any] = field(default_factory=dict)
    call: bool = False
    widths: tuple[int, ...] = ()
    rate: float | None = None
    data: int = 60

    @property
    def key(self) -> str:
        """Where it is, with its options: one for each entry."""
        return " ".join([self.where, *(f"{name}={value}" for name, value in self.options.items())])

    def optimizer(self) -> Any:
        """What is audited."""
        found = named_optimizer(self.where)
        return contestant_of(found(), None) if self.call else with_options(found, self.options)


def entries_of(package: str) -> list[Entry]:
    """The optimizer classes of a package or module, by name.

    Classes that come from elsewhere, such as those of PyTorch in a package that passes them on, and abstract ones are
    left out.

    Raises
    ------
    UnauditableError : it is not installed, or has none.
    """
    torch = import_torch()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = imported(package)
    except UnknownNameError as error:
        why = error.__cause__
        there = "not installed here" if isinstance(why, ModuleNotFoundError) else "not to be imported"
        raise UnauditableError(f"the package {package} is {there}: {why}.") from error
    root = package.partition(".")[0]
    found: dict[Any, str] = {}
    for name, value in sorted(vars(module).items()):
        if not inspect.isclass(value) or not issubclass(value, torch.optim.Optimizer) or name.startswith("_"):
            continue
        own = value.__module__.partition(".")[0] == root and value is not torch.optim.Optimizer
        if own and not inspect.isabstract(value):
            found.setdefault(value, name)
    if not found:
        raise UnauditableError(f"{package} has no optimizer classes: no subclasses of torch.optim.Optimizer.")
    return [Entry(package, name, f"{package}:{name}") for name in found.values()]


def rules() -> list[Entry]:
    """The reference rules."""
    made = []
    for name, options in RULES:
        told = ", ".join(f"{key}={value}" for key, value in options.items())
        where, shown = f"{RULE_PACKAGE}:{name}", f"{name}({told})"
        bare = name in NONDEGENERATE and not options.get("damping")
        asked: dict[str, Any] = {"widths": (2, 2, 2), "rate": 1e-3, "data": 200} if bare else {}
        made.append(Entry(RULE_PACKAGE, shown, where, options, **asked))
    return made


def libraries() -> tuple[list[Entry], dict[str, str]]:
    """Updates of the K-FAC libraries that are installed, and why others are missing: {library: reason}."""
    from geomkfac.audit.libraries import UPDATES

    made, missing = [], dict(ELSEWHERE)
    for library, updates in UPDATES.items():
        if importlib.util.find_spec(library) is None:
            missing[library] = "it is not installed here"
            continue
        made += [Entry(library, one.__name__, f"{LIBRARY_PACKAGE}:{one.__name__}", call=True) for one in updates]
    return made, missing


@cache
def _distributions() -> Mapping[str, list[str]]:
    """The distributions of every module that is installed; it takes half a second to look."""
    return importlib.metadata.packages_distributions()


def versions(modules: Iterable[str]) -> dict[str, str]:
    """Of Python, PyTorch, geomkfac, and the packages of these modules: {distribution: version}."""
    found = {"Python": platform.python_version(), "geomkfac": __version__}
    distributions = _distributions()
    for root in dict.fromkeys(["torch", *(name.partition(".")[0] for name in modules)]):
        if root == "geomkfac":
            continue
        for name in sorted(set(distributions.get(root, ()))):
            found[name] = importlib.metadata.version(name)
    return found
