"""Try a built release, the wheel of which is installed: the archives hold every file, and every command runs elsewhere.

    python .ci/outside.py DIST SOURCE

DIST is the folder with the source distribution and the wheel, SOURCE the one that they were built in.  Run it in an
environment that has nothing but the wheel and what the wheel requires: a dependency that is not declared, or a file
left behind in the clone, is missing there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from contextlib import chdir
from pathlib import Path

import geomkfac
from geomkfac.audit.catalogues.document import figure, markdown, page
from geomkfac.audit.catalogues.file import Catalogue
from geomkfac.cli.program import app
from geomkfac.interop import load_digits

CLONE = Path(__file__).resolve().parents[1]
PROGRAM = str(Path(sys.executable).with_name("geomkfac"))
DIGITS = ("digits", "digits", "--activation", "tanh", "--output", "categorical", "--norm", "given")
COMMANDS = (
    ("info", "--json"),
    ("factors", *DIGITS, "--basis", "whitened", "--out", "factors.npz"),
    ("step", *DIGITS, "--basis", "random", "--out", "step.safetensors"),
    ("verify", "LG-T2.1", "--certificate", "certificates", "--html", "ledger.html"),
    ("audit", "geomkfac.updates:Kfac", "--group", "activation translation", "--html", "audit.html"),
)
"""Each command once, but for the catalogue, which needs PyTorch."""
WRITTEN = ("factors.npz", "step.safetensors", *(f"{name}.html" for name in ("ledger", "audit", "catalogue")))


def compare(what: str, there: Iterable[str], wanted: Iterable[str]) -> None:
    """Exit, naming what differs, unless the two hold the same names."""
    there, wanted = set(there), set(wanted)
    if there != wanted:
        sys.exit(f"{what} lacks {sorted(wanted - there)}, and has without reason {sorted(there - wanted)}")
    print(f"{what}: all {len(there)} are there")


def check_archives(dist: Path, folder: Path) -> None:
    """The source distribution holds the repository, and the wheel all of the package."""
    (source,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = {name for name in found if ".egg-info/" not in name}
    with tarfile.open(source) as archive:
        names = [entry.name.partition("/")[2] for entry in archive if entry.isfile()]
    names = [name for name in names if name != "PKG-INFO" and ".egg-info/" not in name]
    compare(f"files of {source.name}", names, files)
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    compare(f"files of {wheel.name}", names, (name for name in files if name.startswith("geomkfac/")))


def run(*words: str, status: int = 0) -> str:
    """What a program writes; exit where its status is another one."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != status:
        sys.exit(f"{words} ended with {done.returncode}, not {status}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def try_commands() -> None:
    """Every command, in this folder."""
    X, y = load_digits()
    if X.shape != (1797, 64) or y.shape != (1797,):
        sys.exit(f"the digits came out with shapes {X.shape} and {y.shape}")
    if run(PROGRAM, "--version") != f"geomkfac {geomkfac.__version__}\n":
        sys.exit("the program is of another version than the package")
    for words in COMMANDS:
        run(PROGRAM, *words)
    # The checker is the package's file, and needs no package: -I and -S leave out all but the standard library.
    print(run(sys.executable, "-I", "-S", "certificates/check_certificate.py", "certificates").splitlines()[-1])
    # Optimizers need PyTorch, which the wheel does not require; the pages of the catalogue do not.
    if "geomkfac[torch]" not in run(PROGRAM, "catalogue", "--html", "none.html", status=2):
        sys.exit("the catalogue does not say how to install PyTorch")
    made = Catalogue.from_json(json.loads((CLONE / "docs/invariance.json").read_text("utf-8")))
    for name, text in (("html", page(made)), ("svg", figure(made)), ("md", markdown(made))):
        Path(f"catalogue.{name}").write_text(text, "utf-8")
    tried = {words[0] for words in COMMANDS} | {"catalogue"}
    compare("commands tried", tried, (command.callback.__name__ for command in app.registered_commands))
    for name in WRITTEN:
        written = Path(name).read_bytes()
        if len(written) < 1000 or (name.endswith(".html") and not written.rstrip().endswith(b"</html>")):
            sys.exit(f"{name} is not whole")


def main() -> None:
    """Check the archives, then leave the clone and try what is installed."""
    check_archives(Path(sys.argv[1]), Path(sys.argv[2]))
    place = Path(geomkfac.__file__).resolve()
    if CLONE in place.parents:
        sys.exit(f"geomkfac is that of the clone ({place}): install the wheel, and leave PYTHONPATH empty")
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        try_commands()
    print(f"geomkfac {geomkfac.__version__} from {place.parent}: every command runs outside the clone")


if __name__ == "__main__":
    main()
