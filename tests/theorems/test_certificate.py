"""Certificates hold up to a program that shares no code with this package, and forged ones do not."""

from __future__ import annotations

import ast
import json
import math
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

import geomkfac.data
from geomkfac.arrays import Stream, false_identity_bound, random_prime
from geomkfac.errors import FileFormatError, ValuesError
from geomkfac.theorems import CertificateDirectory, find, run_all
from geomkfac.theorems.certificate import canonical

CHECKER = Path(geomkfac.data.__file__).with_name("check_certificate.py")
RECIPES = ["LG-T2.1", "LG-T3.1", "LG-P3.7", "LG-T3.6a", "LG-T3.6b", "J-49..52"]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("certificates") / "all"
    directory = CertificateDirectory(path, trials=2, seed=3)
    directory.close(run_all(find(RECIPES), trials=2, seed=3, record=True, finished=directory.write))
    return path


@pytest.fixture
def directory(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "copy"))


def check(directory):
    """The independent program, isolated: no environment, no site-packages, another working directory."""
    finished = subprocess.run(
        [sys.executable, "-I", "-S", str(CHECKER), str(directory)],
        capture_output=True,
        text=True,
        check=False,
        cwd=directory.parent,
    )
    assert finished.stderr == ""
    return finished.returncode, finished.stdout


def certificate_of(directory, id):
    """The file of the check with a recipe."""
    for path in sorted(directory.glob(f"{id}.X*.json")):
        if json.loads(path.read_text())["check"]["recipe"] == id:
            return path
    raise AssertionError(id)


def forge(path, change, *, sign=True):
    """Change a certificate, and (a careful forger) its digest and the manifest."""
    document = json.loads(path.read_text())
    change(document)
    if sign:
        del document["digest"]
        document["digest"] = sha256(canonical(document)).hexdigest()
    path.write_text(json.dumps(document))
    if sign:
        manifest = json.loads((path.parent / "manifest.json").read_text())
        manifest["files"][path.name] = sha256(path.read_bytes()).hexdigest()
        (path.parent / "manifest.json").write_text(json.dumps(manifest))


def test_the_checker_is_one_file_of_the_standard_library():
    tree = ast.parse(CHECKER.read_text(encoding="utf-8"))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module.split(".")[0] for module in modules} <= sys.stdlib_module_names | {"__future__"}


def test_the_checker_accepts_what_was_certified_and_computes_the_main_theorems_again(directory):
    status, output = check(directory)
    assert status == 0, output
    for id in RECIPES:
        assert f"{certificate_of(directory, id).name}: computed again: holds" in output
    assert "0 rejected" in output
    copy = directory / "check_certificate.py"
    assert copy.read_bytes() == CHECKER.read_bytes()


def drop(*keys):
    def change(document):
        for key in keys[:-1]:
            document = document[key]
        del document[keys[-1]]

    return change


def put(value, *keys):
    def change(document):
        for key in keys[:-1]:
            document = document[key]
        assert document[keys[-1]] != value
        document[keys[-1]] = value

    return change


FORGERIES = {
    "another hash of one side": (put("0" * 64, "recorded", 0, "comparisons", 0, "left"), "hashes of both sides"),
    "a comparison left out": (drop("recorded", 1, "comparisons", 0), "hashes of both sides"),
    "another prime": (put(2147483629, "recorded", 0, "prime"), "not the one that its stream gives"),
    "another stream": (put("3/LG-P3.7/X/other/0/0", "recorded", 0, "stream"), "is not its own"),
    "another seed": (put(4, "seed"), "is not its own"),
    "other sizes": (put([2, 2], "check", "sizes", "widths"), "hashes of both sides"),
    "sizes of no layer": (put([2], "check", "sizes", "widths"), "cannot be computed at these sizes"),
    "fewer trials": (put(1, "trials"), "claims 1 trials and records 2"),
    "a smaller probability": (put(1e-40, "bound", "probability"), "not the one that the degrees and primes give"),
    "smaller degrees": (put(1, "bound", "degree"), "not the one that the degrees and primes give"),
    "a failure called a success": (put(False, "evidence", "holds"), "certifies a failure"),
    "another check's evidence": (put("another", "evidence", "name"), "different names"),
    "an unknown recipe": (put("LG-T9.9", "check", "recipe"), "not known to this program"),
    "no trials recorded": (put(None, "recorded"), "records no trial"),
    "another format": (put("geomkfac certificate 0", "format"), "its format is not"),
}


def consistent_bound(document):
    """The probability that the degrees and the primes give."""
    bound = document["bound"]
    d, e, b = (bound[name] for name in ("degree", "denominator_degree", "log2_norm"))
    bound["probability"] = math.prod(false_identity_bound(d, e, b, trial["prime"]) for trial in document["recorded"])


def renamed(document):
    """A forger who looks for a name whose stream is lucky, and does all the rest right."""
    document["check"]["name"] = document["evidence"]["name"] = "another"
    for trial in document["recorded"]:
        parts = trial["stream"].split("/")
        trial["stream"] = "/".join([*parts[:3], "another", *parts[-2:]])
        trial["prime"] = random_prime(Stream(trial["stream"]))


def drawn_again(document):
    """A forger who looks for a redraw that is lucky."""
    trial = document["recorded"][0]
    trial["redraws"], trial["stream"] = 1, trial["stream"][:-1] + "1"
    trial["prime"] = random_prime(Stream(trial["stream"]))


FORGERIES |= {
    "another name": (renamed, "not the check that its recipe computes"),
    "a redraw without need": (drawn_again, "drawn again that is not singular"),
    "too many redraws": (put(8, "recorded", 0, "redraws"), "is not its own"),
    "other scalars": (put("Q", "check", "over"), "not the check that its recipe computes"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_certificate_is_rejected_with_the_reason(directory, forgery):
    change, reason = FORGERIES[forgery]
    path = certificate_of(directory, "LG-P3.7")
    forge(path, change)
    if forgery in ("another name", "a redraw without need"):
        forge(path, consistent_bound)
    status, output = check(directory)
    assert status == 1
    assert f"REJECTED {path.name}: " in output
    assert reason in output


@pytest.mark.parametrize("id", RECIPES)
def test_every_recipe_sees_another_left_and_another_right_side(directory, id):
    for number, side in enumerate(("left", "right")):
        path = certificate_of(directory, id)
        forge(path, put(str(number) * 64, "recorded", -1, "comparisons", -1, side))
        status, output = check(directory)
        assert status == 1
        assert "hashes of both sides in trial 1" in output


def test_a_change_without_the_digest_is_seen(directory):
    path = certificate_of(directory, "LG-T2.1")
    forge(path, put("anything", "evidence", "text"), sign=False)
    status, output = check(directory)
    assert status == 1
    assert "do not fit its digest" in output


def test_files_that_are_missing_too_many_or_unreadable_are_seen(directory):
    first, second = certificate_of(directory, "LG-T2.1"), certificate_of(directory, "LG-T3.1")
    (directory / "extra.X1.json").write_text(first.read_text())
    first.unlink()
    second.write_text("{")
    status, output = check(directory)
    assert status == 1
    assert "REJECTED extra.X1.json: the manifest does not list it" in output
    assert f"REJECTED {first.name}: the manifest lists it, and it is not there" in output
    assert f"REJECTED {second.name}: it cannot be read" in output


def test_a_directory_without_a_manifest_is_rejected(tmp_path):
    status, output = check(tmp_path)
    assert status == 1
    assert "manifest.json" in output


def test_the_checker_asks_for_one_directory():
    finished = subprocess.run([sys.executable, "-I", str(CHECKER)], capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert "check_certificate.py DIRECTORY" in finished.stderr


def test_a_directory_in_use_is_refused(tmp_path):
    (tmp_path / "something").write_text("")
    with pytest.raises(ValuesError, match="not empty"):
        CertificateDirectory(tmp_path, trials=1, seed=0)
    with pytest.raises(ValuesError, match="go into a directory"):
        CertificateDirectory(tmp_path / "something", trials=1, seed=0)


def test_what_was_finished_is_found_again_and_what_was_changed_is_not_resumed(directory):
    statements = find(["LG-T2.1", "GK-2"])
    found = CertificateDirectory(directory, trials=2, seed=3, resume=True).finished(statements)
    assert list(found) == ["LG-T2.1"]
    assert found["LG-T2.1"].holds
    assert len(found["LG-T2.1"].results) == len(statements[0].checks) + len(statements[0].mutants)
    for options in ({"trials": 1, "seed": 3}, {"trials": 2, "seed": 4}):
        with pytest.raises(FileFormatError, match="not of this run"):
            CertificateDirectory(directory, resume=True, **options).finished(statements)
    forge(certificate_of(directory, "LG-T2.1"), put("0" * 64, "code"))
    with pytest.raises(FileFormatError, match="code"):
        CertificateDirectory(directory, trials=2, seed=3, resume=True).finished(statements)
    certificate_of(directory, "LG-T2.1").write_text("[]")
    with pytest.raises(FileFormatError, match="is no certificate"):
        CertificateDirectory(directory, trials=2, seed=3, resume=True).finished(statements)
