"""The making of a catalogue: what every optimizer of some packages is invariant to, kept in a file while it grows."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from geomkfac.arrays import LIBRARY_ON, floating_namespace
from geomkfac.audit.catalogues.auditors import audited_in_processes
from geomkfac.audit.catalogues.entries import PACKAGES, Entry, entries_of, libraries, rules, versions
from geomkfac.audit.catalogues.file import Catalogue
from geomkfac.audit.contestants.contestant import UnauditableError
from geomkfac.errors import ValuesError
from geomkfac.names import look_up


def catalogue(
    packages: Sequence[str] = PACKAGES,
    *,
    with_rules: bool = True,
    with_libraries: bool = True,
    steps: int = 10,
    seed: int = 0,
    device: str = "cpu",
    jobs: int = 1,
    limit: float = 600.0,
    file: str | Path | None = None,
    again: bool = False,
    progress: Callable[[str, int], None] | None = None,
) -> Catalogue:
    """Audit every optimizer class of some packages, the reference rules, and updates of the K-FAC libraries at hand.

    Parameters
    ----------
    packages : modules that hold subclasses of `torch.optim.Optimizer`
    with_rules, with_libraries : whether the rules of `geomkfac.updates`, and K-FAC libraries, are in it
    steps, seed, device : as for `audit`; the updates of libraries run on the CPU alone
    jobs : processes that audit
    limit : seconds of processor time for one optimizer; one that takes longer, or ten times as long by the clock, is
        listed as such
    file : where it is kept, written anew after each optimizer; what it holds already is not audited again
    again : audit everything again
    progress : called with the name of each optimizer as it is done, and how many there are

    Raises
    ------
    FileFormatError : the file is no catalogue.
    ValuesError : the file was made with other versions, steps, another seed or device, and `again` is not set.
    UnknownNameError, MissingExtraError, DeviceError : no such device, no library for it, none here.
    """
    _check_device(device, bool(packages))
    wanted, missing = _wanted(packages, with_rules, with_libraries)
    made = Catalogue(steps, seed, versions([entry.package for entry in wanted]), missing=missing, device=device)
    path = None if file is None else Path(file)
    if path is not None and path.exists() and not again:
        made = _continued(Catalogue.read(path), made, path)
    left = [entry for entry in wanted if not made.has(entry)]

    def finished(entry: Entry, result: dict[str, Any]) -> None:
        made.keep(entry, result)
        if path is not None:
            made.write(path)
        if progress is not None:
            progress(entry.name, len(left))

    there = [package for package in packages if package not in missing]
    modules = ("geomkfac.audit.auditing", "geomkfac.audit.contestants.pytorch.optimizer", *there)
    audited_in_processes(
        left, jobs=jobs, limit=limit, modules=modules, settings=(steps, seed, device), finished=finished
    )
    if path is not None:
        made.write(path)
    return made


def _check_device(device: str, tensors: bool) -> None:
    """Refuse, before anything is run, a device that is not there for PyTorch, or for rules where these are all."""
    library = look_up("device", device, LIBRARY_ON)
    if device != "cpu":
        floating_namespace("torch" if tensors else library, "float64", device)


def _wanted(
    packages: Sequence[str], with_rules: bool, with_libraries: bool
) -> tuple[list[Entry], dict[str, str]]:
    """What is to be audited, and packages that are missing."""
    wanted: list[Entry] = []
    missing: dict[str, str] = {}
    for package in packages:
        try:
            wanted += entries_of(package)
        except UnauditableError as error:
            missing[package] = str(error).splitlines()[0]
    if with_rules:
        wanted += rules()
    if with_libraries:
        found, absent = libraries()
        wanted, missing = wanted + found, missing | absent
    return wanted, missing


def _continued(kept: Catalogue, new: Catalogue, path: Path) -> Catalogue:
    """The catalogue of a file, to be completed; refused where what is new would not be comparable."""
    differ = [
        f"{name} {was} there, {now} here"
        for name, was, now in [
            ("steps", kept.steps, new.steps), ("seed", kept.seed, new.seed), ("device", kept.device, new.device)
        ]
        + [(name, version, new.versions.get(name, version)) for name, version in kept.versions.items()]
        if was != now
    ]
    if differ:
        raise ValuesError(
            f"the catalogue in {os.fspath(path)!r} was made otherwise.\n"
            "  required: the same steps, seed, device and versions\n"
            f"  came    : {'; '.join(differ)}\nMake it again (--again), or name another file."
        )
    kept.versions |= new.versions
    kept.missing = {name: why for name, why in (kept.missing | new.missing).items() if name not in kept.reports}
    return kept
