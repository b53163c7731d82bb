"""The tables of docs/benchmarks.md, and one line per problem while the benchmark runs."""

from __future__ import annotations

from typing import Any

from prose import CHANGES, FACTORS, HEAD, MEMORY, SHARED, SOLVES

__all__ = ["markdown", "text_row"]

Record = dict[str, Any]


def factor_ratios(record: Record) -> tuple[float, float]:
    """geomkfac over curvlinops, and geomkfac over the floor."""
    seconds = record["factors"]
    return seconds["geomkfac"] / seconds["curvlinops"], seconds["geomkfac"] / seconds["floor"]


def solve_ratios(record: Record) -> tuple[float, float]:
    """geomkfac over curvlinops: the first solve, and one with factorisations kept."""
    seconds = record["solves"]["seconds"]
    first, kept = (seconds[f"geomkfac, {s}"] / seconds[f"curvlinops, {s}"] for s in ("first", "kept"))
    return first, kept


def change_ratios(record: Record) -> tuple[float, float]:
    """A change of all factors, and of a step, over computing the factors."""
    seconds = record["changes"]
    factors, step = (seconds[f"change of {what}"] / seconds["factors"] for what in ("the factors", "a step"))
    return factors, step


def text_row(record: Record) -> str:
    """One line for the terminal."""
    to_peer, to_floor = factor_ratios(record)
    name = f"{record['problem']}, {record['fisher']}, batch {record['batch']}, {record['dtype']}"
    line = f"{name:46s} geomkfac/curvlinops {to_peer:.2f}   geomkfac/floor {to_floor:.2f}"
    if "solves" in record:
        first, kept = solve_ratios(record)
        line += f"   solve: first {first:.2f}, kept {kept:.2f}"
    return line


def verdict(target: str, values: list[float], limit: float) -> str:
    """How many of `values` are at most `limit`, and how far the others are off."""
    missed = sorted(value for value in values if round(value, 2) > limit)
    line = f"- Target {target}: met in {len(values) - len(missed)} of {len(values)}"
    if not missed:
        return f"{line} (from {min(values):.2f} to {max(values):.2f})."
    return f"{line}; missed where it is from {missed[0]:.2f} to {missed[-1]:.2f}."


def markdown(document: dict[str, Any]) -> str:
    """The document docs/benchmarks.md."""
    here, records = document["machine"], document["records"]
    timed = [record for record in records if "solves" in record]
    return "\n".join(
        [
            HEAD,
            f"Machine: {here['processor']}, {here['cores']} cores, **{here['threads']} thread**; {here['date']}.",
            f"Python {here['python']}, NumPy {here['numpy']}, SciPy {here['scipy']} ({here['blas']}), "
            f"PyTorch {here['torch']}, curvlinops {here['curvlinops']}.",
            f"Medians of {document['repeats']} interleaved runs. Load average over the last 1, 5 and 15 minutes: "
            f"{here['load']}, of which this\nprogram is 1; where it exceeds the cores, other work slowed all alike.",
            "",
            *_factors(records),
            *_shared(document["shared"]),
            *_solves(timed),
            *_changes(timed),
            *_memory(document["memory"]),
        ]
    )


def _cells(*cells: Any) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _header(*cells: str) -> list[str]:
    return [_cells(*cells), "|" + "---|" * len(cells)]


def _factors(records: list[Record]) -> list[str]:
    ratios = [factor_ratios(record) for record in records]
    lines = ["## Kronecker factors", ""]
    lines += _header("network", "Fisher", "batch", "dtype", "geomkfac, s", "curvlinops, s", "floor, s",
                     "/ curvlinops", "/ floor", "curvlinops / floor", "gap")  # fmt: skip
    for record, (to_peer, to_floor) in zip(records, ratios, strict=True):
        seconds = record["factors"]
        times = (f"{seconds[name]:.3f}" for name in ("geomkfac", "curvlinops", "floor"))
        what = (record["problem"], record["fisher"], record["batch"], record["dtype"])
        peer = f"{seconds['curvlinops'] / seconds['floor']:.2f}"
        lines.append(_cells(*what, *times, f"**{to_peer:.2f}**", f"**{to_floor:.2f}**", peer, f"{record['gap']:.0e}"))
    lines += ["", verdict("at most 0.5 of curvlinops", [ratio for ratio, _ in ratios], 0.5)]
    return [*lines, verdict("at most 1.3 of the floor", [ratio for _, ratio in ratios], 1.3), "", FACTORS]


def _shared(records: list[Record]) -> list[str]:
    lines = ["## Convolutions and recurrences", ""]
    lines += _header("network", "Fisher", "batch", "dtype", "geomkfac, s", "curvlinops, s", "/ curvlinops", "gap")
    ratios: dict[str, list[float]] = {"exact": [], "sampled": []}
    for record in records:
        seconds = record["factors"]
        what = (record["problem"], record["fisher"], record["batch"], record["dtype"], f"{seconds['geomkfac']:.3f}")
        if "curvlinops" not in seconds:
            lines.append(_cells(*what, "none", "", ""))
            continue
        ratio = seconds["geomkfac"] / seconds["curvlinops"]
        ratios[record["fisher"]].append(ratio)
        lines.append(_cells(*what, f"{seconds['curvlinops']:.3f}", f"**{ratio:.2f}**", f"{record['gap']:.0e}"))
    lines += ["", verdict("at most 0.7 of curvlinops for the exact Fisher", ratios["exact"], 0.7)]
    return [*lines, verdict("at most 0.5 of it for the sampled one", ratios["sampled"], 0.5), "", SHARED]


def _solves(records: list[Record]) -> list[str]:
    ratios = [solve_ratios(record) for record in records]
    lines = ["## Solves with factored damping", ""]
    lines += _header("network", "batch", "dtype", "first / curvlinops", "kept / curvlinops")
    for record, (first, kept) in zip(records, ratios, strict=True):
        lines.append(_cells(record["problem"], record["batch"], record["dtype"], f"{first:.2f}", f"{kept:.2f}"))
    lines += ["", verdict("at most curvlinops, first", [first for first, _ in ratios], 1.0)]
    return [*lines, verdict("at most curvlinops, kept", [kept for _, kept in ratios], 1.0), "", SOLVES]


def _changes(records: list[Record]) -> list[str]:
    lines = ["## Changes of basis", ""]
    lines += _header("network", "batch", "dtype", "change of the factors / factors", "change of a step / factors")
    for record in records:
        factors, step = change_ratios(record)
        lines.append(_cells(record["problem"], record["batch"], record["dtype"], f"{factors:.1%}", f"{step:.1%}"))
    return [*lines, "", CHANGES]


def _memory(rows: list[Record]) -> list[str]:
    lines = ["## Memory", ""]
    lines += _header("network", "Fisher", "data", "inputs, MB", "factors, MB", "peak beyond both, MB")
    for row in rows:
        sizes = (f"{row[what] / 1e6:.0f}" for what in ("inputs", "factors", "beyond"))
        lines.append(_cells(row["problem"], row["fisher"], row["data"], *sizes))
    return [*lines, "", MEMORY]
