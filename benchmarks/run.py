"""Run sections of the benchmark, keep their records, and write docs/benchmarks.md from all records.

Run: python benchmarks/run.py [SECTION ...] [--quick] [--repeats R] [--records DIR] [--markdown FILE]; see README.md.
"""

from __future__ import annotations

import one_thread  # first: it limits the threads of everything imported after it

# isort: split
import argparse
import json
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from machine import described, machine
from tables import Target, paragraph, summary, verdict

__all__ = ["main"]

HERE = Path(__file__).parent

SECTIONS = {
    "factors": "Kronecker factors",
    "jax_peer": "kfac-jax beside them",
    "maps": "Convolutions and recurrences",
    "solves": "Solves with factored damping",
    "changes": "Changes of basis",
    "tiny": "Tiny networks",
    "libraries": "Array libraries",
    "scaling": "Scaling",
    "memory": "Memory",
    "processes": "Import, commands and the ledger",
    "interruptions": "Interruptions",
    "workers": "Several workers",
    "gpu": "GPU",
}
"""Module and title of every section, in the order of the document."""

HEAD = """
Written by `python benchmarks/run.py --markdown docs/benchmarks.md` from the records in `benchmarks/records`;
`benchmarks/README.md` says how to run it. Where libraries are compared they run side by side in one process, on one
thread, contestants interleaved (A B C A B C), and nothing is timed before they are seen to compute the same numbers.
So ratios are worth more than seconds.
"""


def section(name: str) -> Any:
    """The module of a section; None where it has not been written."""
    return import_module(name) if (HERE / f"{name}.py").exists() else None


def run(name: str, quick: bool, repeats: int) -> dict[str, Any]:
    """The records of one section, and what they were measured on."""
    module = section(name)
    if module is None:
        raise SystemExit(f"there is no {HERE / name}.py; sections: {', '.join(SECTIONS)}")
    print(f"-- {SECTIONS[name]}", flush=True)
    records = module.records(quick, repeats)
    return {"machine": machine(one_thread.THREADS, module.PACKAGES), "repeats": repeats, "records": records}


def markdown(documents: dict[str, dict[str, Any]]) -> str:
    """The document docs/benchmarks.md."""
    targets: list[Target] = []
    body: list[str] = []
    for name, title in SECTIONS.items():
        module, document = section(name), documents.get(name, {"records": []})
        body += [f"## {title}", ""]
        if not document["records"]:
            body += paragraph(getattr(module, "ABSENT", "Not measured yet."))
            continue
        body += module.lines(document["records"])
        found = module.targets(document["records"])
        targets += found
        body += [*map(verdict, found), ""] if found else []
        body += paragraph(described(document["machine"], document["repeats"]))
    head = ["# Benchmarks", "", *paragraph(HEAD), "## Targets", "", *summary(targets), ""]
    return "\n".join([*head, *body]).rstrip("\n") + "\n"


def kept(folder: Path) -> dict[str, dict[str, Any]]:
    """The records of all sections in a folder."""
    paths = {name: folder / f"{name}.json" for name in SECTIONS}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


def main(chosen: list[str] | None = None) -> None:
    """Run what was asked for, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; none: only write")
    parser.add_argument("--quick", action="store_true", help="small networks and batches: a smoke test, not kept")
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of each contestant")
    parser.add_argument("--records", type=Path, default=HERE / "records", help="folder of records")
    parser.add_argument("--markdown", type=Path, help="write docs/benchmarks.md here, from all records")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in options.sections or chosen or []:
        document = run(name, options.quick, options.repeats)
        if not options.quick:
            options.records.mkdir(exist_ok=True)
            (options.records / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    if options.markdown:
        documents = kept(options.records)
        options.markdown.write_text(markdown(documents))
        figures = options.markdown.parent / "figures"
        figures.mkdir(exist_ok=True)
        for name, document in documents.items():
            if hasattr(section(name), "draw"):
                section(name).draw(document["records"], figures)


if __name__ == "__main__":
    main()
