"""Certificates: what a run claims, one JSON file for each check, for a program of its own to check.

The format is documented in docs/certificates.md.  The checker, ``check_certificate.py`` of the standard
library alone, is copied beside the certificates.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from importlib import metadata, resources
from pathlib import Path
from typing import Any, final

from geomkfac.errors import FileFormatError, ValuesError
from geomkfac.inputs import read_json
from geomkfac.outputs import write_text
from geomkfac.theorems.engine.run import Report
from geomkfac.theorems.engine.statement import Check, Evidence, Mutant, Statement
from geomkfac.version import __version__

FORMAT = "geomkfac certificate 1"
MANIFEST, CHECKER = "manifest.json", "check_certificate.py"
_BOUND = ("degree", "denominator_degree", "log2_norm", "probability")


@final
class CertificateDirectory:
    """A directory of certificates, written statement by statement.

    Parameters
    ----------
    path : of a directory that does not exist, or is empty
    trials, seed : of the run
    resume : whether certificates of an interrupted run may be there already; those of the same version,
        code, trials and seed are kept, others are an error

    Raises
    ------
    ValuesError : the directory is not empty, and `resume` is not asked for; it is no directory.
    FileFormatError : with `resume`, it holds something else than certificates of the same run.
    """

    def __init__(self, path: Path, *, trials: int, seed: int, resume: bool = False) -> None:
        self.path, self.trials, self.seed = path, trials, seed
        if path.exists() and not path.is_dir():
            raise ValuesError(
                f"certificates go into a directory.\n  required: a directory, or a path where nothing is\n"
                f"  came    : the file {path}\nName another path."
            )
        entries = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
        if entries and not resume:
            raise ValuesError(
                f"the certificate directory is not empty.\n  required: {path} empty, or not there yet\n"
                f"  came    : {len(entries)} entries, {entries[0]!r} the first\n"
                "Name another directory, or pass --resume to go on with an interrupted run."
            )
        path.mkdir(parents=True, exist_ok=True)

    def finished(self, statements: Iterable[Statement]) -> dict[str, Report]:
        """The reports of those statements whose certificates are all here, by id."""
        found = {}
        for statement in statements:
            paths = [self.path / name for name in _names(statement)]
            if all(path.exists() for path in paths):
                results = tuple(
                    self._evidence(path, statement, item) for path, item in zip(paths, statement.items, strict=True)
                )
                found[statement.id] = Report(statement, results, self.trials, self.seed)
        return found

    def _evidence(self, path: Path, statement: Statement, item: Check | Mutant) -> Evidence:
        """The evidence of a certificate of this run, for this item."""
        document = read_json(path)
        try:
            digest = document.pop("digest")
            came = {name: document[name] for name in ("format", "trials", "seed", "code")}
            evidence, of = document["evidence"], (document["statement"]["id"], document["check"]["name"])
        except (LookupError, AttributeError, TypeError) as error:
            raise _no_certificate(path, error) from error
        required = {"format": FORMAT, "trials": self.trials, "seed": self.seed, "code": code_digest()}
        if came != required or digest != sha256(canonical(document)).hexdigest():
            differing = [f"{name} {came[name]!r}" for name in required if came[name] != required[name]]
            raise FileFormatError(
                f"{path} is not of this run, and cannot be resumed.\n"
                f"  required: {', '.join(f'{name} {value!r}' for name, value in required.items())}\n"
                f"  came    : {', '.join(differing) or 'contents that do not fit its digest'}\n"
                "Begin in a new directory."
            )
        asked = statement.id, item.name if isinstance(item, Check) else item.fault
        if of != asked:
            raise _no_certificate(path, ValueError(f"it is of {of!r}, not of {asked!r}"))
        try:
            found = Evidence(**evidence)
        except TypeError as error:
            raise _no_certificate(path, error) from error
        plain = found.grade, found.name, found.text, found.holds, found.details, found.seconds
        if not all(map(isinstance, plain, (str, str, str, bool, dict, float))):
            raise _no_certificate(path, TypeError("its evidence holds other things than it should"))
        return found

    def write(self, report: Report) -> None:
        """The certificates of one statement; each file appears whole or not at all."""
        statement = report.statement
        if len(report.results) != len(statement.items):
            return  # It stopped with an error, and certifies nothing.
        for name, item, evidence in zip(_names(statement), statement.items, report.results, strict=True):
            document = _document(statement, item, evidence, self.trials, self.seed)
            document["digest"] = sha256(canonical(document)).hexdigest()
            _write(self.path / name, document)

    def close(self, reports: Sequence[Report]) -> None:
        """The manifest, which names every file, and the checker beside it."""
        names = [name for report in reports for name in _names(report.statement) if (self.path / name).exists()]
        manifest = {
            "format": FORMAT,
            "trials": self.trials,
            "seed": self.seed,
            "holds": all(report.holds for report in reports),
            "statements": [report.statement.id for report in reports],
            "files": {name: sha256((self.path / name).read_bytes()).hexdigest() for name in names},
        }
        _write(self.path / MANIFEST, manifest)
        checker = resources.files("geomkfac.data").joinpath(CHECKER).read_text(encoding="utf-8")
        write_text(self.path / CHECKER, checker)


def canonical(document: Any) -> bytes:
    """The one spelling of a JSON document that digests are taken of: sorted keys, no spaces, ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


@cache
def code_digest() -> str:
    """SHA-256 of this package's own source."""
    digest = sha256()
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _names(statement: Statement) -> list[str]:
    """The file names of a statement's certificates."""
    stem = statement.id.replace("/", "+")
    numbers: dict[str, int] = {}
    names = []
    for item in statement.items:
        grade = item.grade if isinstance(item, Check) else "M"
        numbers[grade] = numbers.get(grade, 0) + 1
        names.append(f"{stem}.{grade}{numbers[grade]}.json")
    return names


def _document(statement: Statement, item: Check | Mutant, evidence: Evidence, trials: int, seed: int) -> dict[str, Any]:
    plain = evidence.to_json()
    recorded = plain["details"].pop("recorded", None)
    details = plain["details"]
    bound = {name: details[name] for name in _BOUND if name in details}
    sizes = item.sizes[-1] if isinstance(item, Check) else item.sizes
    return {
        "format": FORMAT,
        "statement": {
            "id": statement.id,
            "source": statement.source,
            "title": statement.title,
            "text": statement.text,
            "hypotheses": list(statement.hypotheses),
        },
        "check": {
            "grade": evidence.grade,
            "name": evidence.name,
            "over": item.over,
            "recipe": item.recipe if isinstance(item, Check) else None,
            "sizes": asdict(sizes) | {"extra": dict(sizes.extra)},
        },
        "trials": trials,
        "seed": seed,
        "recorded": recorded,
        "bound": bound or None,
        "verdict": "as it must be" if evidence.holds else "not as it must be",
        "evidence": plain,
        "versions": _versions(),
        "code": code_digest(),
    }


@cache
def _versions() -> dict[str, str]:
    libraries = {name: metadata.version(name) for name in ("numpy", "python-flint", "sympy")}
    return {"geomkfac": __version__, "python": platform.python_version(), **libraries}


def _write(path: Path, document: Any) -> None:
    write_text(path, json.dumps(document, indent=1, sort_keys=True) + "\n")


def _no_certificate(path: Path, error: Exception) -> FileFormatError:
    return FileFormatError(
        f"{path} is no certificate.\n  required: a JSON object as docs/certificates.md has it\n"
        f"  came    : {type(error).__name__}: {error}\nDelete it, or begin in a new directory."
    )
