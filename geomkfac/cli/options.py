"""Options that `factors` and `step` share, said once."""

from __future__ import annotations

from typing import Any

import typer

__all__ = ["ACTIVATION", "BASIS", "CHUNK", "DATA", "FISHER", "JSON", "NETWORK", "NORM", "OUTPUT", "SAMPLES", "SEED"]

NETWORK: Any = typer.Argument(
    ..., help="A .npz or .safetensors file with <layer>.weight (m, n) and <layer>.bias (m,), or 'digits'."
)
DATA: Any = typer.Argument(..., help="A .npz or .safetensors file with X (N, n) and y, or 'digits'.")
ACTIVATION: Any = typer.Option(
    ..., "--activation", help="Of the hidden layers: tanh, logistic, relu, softplus or identity."
)
OUTPUT: Any = typer.Option(..., "--output", help="The output family: categorical, bernoulli or gaussian.")
BASIS: Any = typer.Option("given", "--basis", help="The basis: given, centered, whitened or random.")
FISHER: Any = typer.Option("exact", "--fisher", help="Targets of the Fisher metric: exact, sampled or empirical.")
SAMPLES: Any = typer.Option(1, "--samples", help="Targets drawn for each datum, for --fisher sampled.")
NORM: Any = typer.Option(
    None,
    "--norm",
    help="The norm that decides where the metric is degenerate: 'given' is the Euclidean norm of the given "
    "coordinates. Without one, a degenerate metric is refused where a choice would be needed.",
)
SEED: Any = typer.Option(0, "--seed", help="What every random draw depends on.")
CHUNK: Any = typer.Option(None, "--chunk", help="Data per chunk; by default what bounds memory.")
JSON: Any = typer.Option(False, "--json", help="Print one JSON document.")
