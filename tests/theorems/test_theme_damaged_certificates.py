"""A damaged or foreign certificate is refused, by what resumes a run and by the independent checker."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import geomkfac.data
from geomkfac.errors import FileFormatError
from geomkfac.theorems import CertificateDirectory, find, run_all
from geomkfac.theorems.certificate import canonical

from ..damages import altered, damaged

STATEMENTS = find(["J-49..52"])
RUN: dict[str, Any] = {"trials": 1, "seed": 3}


def loaded_checker() -> Any:
    path = Path(geomkfac.data.__file__).with_name("check_certificate.py")
    specification = importlib.util.spec_from_file_location("check_certificate_here", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


CHECKER = loaded_checker()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("certificates") / "all"
    directory = CertificateDirectory(path, **RUN)
    directory.close(run_all(STATEMENTS, **RUN, record=True, finished=directory.write))
    return path


@contextmanager
def copied(original: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(original, Path(folder) / "copy"))


def resumed(directory: Path) -> Any:
    found = CertificateDirectory(directory, **RUN, resume=True).finished(STATEMENTS)
    return {id: report.to_json() for id, report in found.items()}


def checked(directory: Path) -> tuple[int, str]:
    with redirect_stdout(StringIO()) as output:
        status = CHECKER.main([str(directory)])
    return status, output.getvalue()


def certificates(directory: Path) -> list[Path]:
    return sorted(directory.glob("J*.json"))


@given(st.data())
def test_a_damaged_certificate_is_refused_by_both_or_says_the_same(original: Path, data: st.DataObject) -> None:
    whole = resumed(original)
    with copied(original) as directory:
        path = data.draw(st.sampled_from([*certificates(directory), directory / "manifest.json"]), label="file")
        content, other = path.read_bytes(), certificates(original)[0].read_bytes()
        path.write_bytes(data.draw(damaged(content, other)))
        status, _ = checked(directory)
        # The manifest has no digest of its own, and names the files that count.
        assert status == 1 or path.read_bytes() == content or path.name == "manifest.json"
        with suppress(FileFormatError):
            assert resumed(directory) == whole


@given(st.data())
def test_a_certificate_that_someone_else_signed_leads_to_no_other_error(original: Path, data: st.DataObject) -> None:
    with copied(original) as directory:
        path = data.draw(st.sampled_from(certificates(directory)), label="file")
        document = json.loads(path.read_text())
        document.pop("digest")
        document = data.draw(altered(document))
        if isinstance(document, dict):
            document["digest"] = sha256(canonical(document)).hexdigest()
        path.write_text(json.dumps(document))
        manifest = json.loads((directory / "manifest.json").read_text())
        manifest["files"][path.name] = sha256(path.read_bytes()).hexdigest()
        (directory / "manifest.json").write_text(json.dumps(manifest))
        assert checked(directory)[0] in (0, 1)
        with suppress(FileFormatError):
            resumed(directory)


@given(st.data())
def test_a_manifest_that_someone_else_wrote_leads_to_no_other_error(original: Path, data: st.DataObject) -> None:
    with copied(original) as directory:
        path = directory / "manifest.json"
        path.write_text(json.dumps(data.draw(altered(json.loads(path.read_text())))))
        assert checked(directory)[0] in (0, 1)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": 1, "format": 2}', "{}", "3", "\x00"])
def test_what_is_no_document_is_refused_by_both(original: Path, text: str) -> None:
    with copied(original) as directory:
        path = certificates(directory)[0]
        path.write_text(text)
        with pytest.raises(FileFormatError, match=path.name):
            resumed(directory)
        status, output = checked(directory)
        assert status == 1
        assert f"REJECTED {path.name}: " in output
        (directory / "manifest.json").write_text(text)
        assert checked(directory)[0] == 1


@pytest.mark.parametrize("name", ["check", "evidence", "verdict", "statement", "trials", "recorded"])
def test_a_signed_certificate_without_an_entry_is_rejected_by_its_name(original: Path, name: str) -> None:
    with copied(original) as directory:
        path = certificates(directory)[-1]
        document = json.loads(path.read_text())
        del document["digest"], document[name]
        path.write_text(json.dumps(document | {"digest": sha256(canonical(document)).hexdigest()}))
        status, output = checked(directory)
        assert status == 1
        assert f"REJECTED {path.name}: it is no certificate" in output


def test_a_folder_in_the_place_of_a_certificate_is_refused(original: Path) -> None:
    with copied(original) as directory:
        path = certificates(directory)[0]
        path.unlink()
        path.mkdir()
        with pytest.raises(FileFormatError, match="cannot be read"):
            resumed(directory)
        assert checked(directory)[0] == 1


def test_the_certificate_of_another_check_is_not_resumed(original: Path) -> None:
    with copied(original) as directory:
        one, other = certificates(directory)[:2]
        one.write_bytes(other.read_bytes())
        with pytest.raises(FileFormatError, match="not of"):
            resumed(directory)
