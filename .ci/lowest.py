"""What setup.cfg requires, each at its lowest version: constraints for pip.

    python .ci/lowest.py >lowest.txt
    PIP_CONSTRAINT=lowest.txt python -m pip install '.[test]'
    python .ci/lowest.py --installed lowest.txt

The first prints them; a requirement without a lowest version, or with two, is named, and the exit status is 1.  So it
is by the last where a package of these constraints is installed in another version.
"""

from __future__ import annotations

import configparser
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SETTINGS = Path(__file__).parents[1] / "setup.cfg"
LOWEST = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?P<sign>>=|==)(?P<version>[0-9][0-9a-z.]*)")
OWN_EXTRAS = re.compile(r"geomkfac\[.+\]")


def requirements(path: Path) -> Iterator[str]:
    """Every line of what is required: to run, and by the extras."""
    settings = configparser.RawConfigParser()
    settings.read(path, encoding="utf-8")
    for lines in (settings["options"]["install_requires"], *settings["options.extras_require"].values()):
        yield from lines.split("\n")


def pins(lines: Iterable[str]) -> dict[str, str]:
    """The lowest version of each package; ValueError where a line does not give it, or two lines differ."""
    found: dict[str, str] = {}
    for line in map(str.strip, lines):
        if not line or OWN_EXTRAS.fullmatch(line):
            continue
        match = LOWEST.fullmatch(line)
        if match is None:
            raise ValueError(f"{line!r} says no lowest version: write it as NAME>=VERSION")
        if found.setdefault(match["name"], match["version"]) != match["version"]:
            raise ValueError(f"{line!r} differs from {match['name']} {found[match['name']]}: one package, one bound")
    return found


def others(lowest: dict[str, str]) -> Iterator[str]:
    """What is installed here in another version; a local build of it, such as 2.13.0+cpu, is the same."""
    for name, wanted in lowest.items():
        try:
            came = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue
        if came != wanted:
            yield f"{name} {came} is installed, not {wanted}"


def main(arguments: list[str]) -> None:
    """Print the constraints, or compare those of a file with what is installed."""
    if arguments[:1] == ["--installed"]:
        (path,) = arguments[1:]
        if faults := [*others(pins(Path(path).read_text("utf-8").splitlines()))]:
            sys.exit("\n".join(faults))
        return
    try:
        lowest = pins(requirements(SETTINGS))
    except ValueError as error:
        sys.exit(f"{SETTINGS.name}: {error}")
    print(*(f"{name}=={lowest[name]}" for name in sorted(lowest)), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
