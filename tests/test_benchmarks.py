"""The document of the benchmarks is what the program makes of the records that are kept with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "benchmarks" / "run.py"


def written(tmp_path: Path, records: Path) -> str:
    """The document of a folder of records."""
    document = tmp_path / "benchmarks.md"
    command = [sys.executable, str(PROGRAM), "--records", str(records), "--markdown", str(document)]
    subprocess.run(command, check=True, cwd=ROOT)
    return document.read_text(encoding="utf-8")


def test_the_document_is_made_of_the_records(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    expected = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert written(tmp_path, ROOT / "benchmarks" / "records") == expected


def test_a_target_that_is_missed_is_said_to_be(tmp_path: Path) -> None:
    records = tmp_path / "records"
    records.mkdir()
    kept = json.loads((ROOT / "benchmarks" / "records" / "processes.json").read_text(encoding="utf-8"))
    for seconds, outcome in ((0.2, "met"), (0.6, "missed in 1 of 1, by up to 2.00 times")):
        for record in kept["records"]:
            if "import geomkfac" in record["command"]:
                record["clock"] = seconds
        (records / "processes.json").write_text(json.dumps(kept), encoding="utf-8")
        document = written(tmp_path, records)
        row = next(line for line in document.splitlines() if line.startswith("| `import geomkfac`"))
        assert f"**{outcome}**" in row
    assert "## GPU" in document
    assert "Not run on a GPU yet." in document
