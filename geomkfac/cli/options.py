"""Options that `factors` and `step` share, said once."""

from __future__ import annotations

from typing import Any

import typer

from geomkfac.maps import ACTIVATIONS
from geomkfac.maps.activations.activation import WITH_PARAMETERS
from geomkfac.metrics.families.by_name import FAMILIES

NETWORK: Any = typer.Argument(
    ...,
    metavar="NETWORK",
    show_default=False,
    help="A .npz or .safetensors file with <layer>.weight (m, n) and <layer>.bias (m,), or 'digits' (built in).",
)
DATA: Any = typer.Argument(
    ...,
    metavar="DATA",
    help="A .npz or .safetensors file with X (N, n) and y; a folder with X.npy and y.npy, which are mapped and not "
    "read; or 'digits' (built in).",
)
ACTIVATION: Any = typer.Option(
    None,
    "--activation",
    metavar="NAME",
    show_default=False,
    help=f"Of the hidden layers of a fully connected network: {', '.join(ACTIVATIONS)}; with numbers in brackets, "
    f"such as 'leaky_relu(0.2)' or 'polynomial(0, 1)', also {', '.join(WITH_PARAMETERS)}.",
)
OUTPUT: Any = typer.Option(
    ...,
    "--output",
    metavar="NAME",
    help="The output family, and what the outputs of the network are: "
    + "; ".join(f"{name} ({made().outputs})" for name, made in FAMILIES.items())
    + ".",
)
ARCHITECTURE: Any = typer.Option(
    None,
    "--architecture",
    metavar="STAGES",
    show_default=False,
    help="Of any other network: stages apart by spaces, such as 'convolution(padding=1) tanh max(2) dense'; or "
    "\"recurrence(at='last')\". Weights and data are laid out as in PyTorch: (m, channels, *kernel) and "
    "(N, channels, *grid); sequences are (N, T, n).",
)
BASIS: Any = typer.Option("given", "--basis", metavar="NAME", help="given, centered, whitened or random.")
FISHER: Any = typer.Option(
    "exact", "--fisher", metavar="NAME", help="Targets of the Fisher metric: exact, sampled or empirical."
)
SAMPLES: Any = typer.Option(
    None, "--samples", metavar="N", help="Targets drawn for each datum, for --fisher sampled alone; 1 by default."
)
NORM: Any = typer.Option(
    "none",
    "--norm",
    metavar="NAME",
    help="What decides where the metric is degenerate: 'given', the Euclidean norm of the given basis, or 'none', "
    "and then a degenerate metric is refused wherever a choice is needed.",
)
SEED: Any = typer.Option(0, "--seed", metavar="N", help="What every random draw depends on.")
CHUNK: Any = typer.Option(
    None, "--chunk", metavar="N", show_default=False, help="Data per chunk; by default what bounds memory."
)
MEMORY: Any = typer.Option(
    None,
    "--memory",
    metavar="SIZE",
    show_default=False,
    help="How much may be allocated beyond data and weights, such as 2GiB: chunks are as large as it allows.",
)
WORKERS: Any = typer.Option(
    None,
    "--workers",
    metavar="N",
    show_default=False,
    help="Processes of one thread each, which share the chunks; the result is the same for any number of them.",
)
SCHEDULER: Any = typer.Option(
    None,
    "--scheduler",
    metavar="ADDRESS",
    show_default=False,
    help="Of a Dask cluster whose workers share the chunks, such as tcp://host:8786.",
)
STATE: Any = typer.Option(
    None,
    "--state",
    metavar="FILE",
    show_default=False,
    help="A .npz file in which the sums are saved after every chunk; an interrupted run goes on from there.",
)
JSON: Any = typer.Option(False, "--json", help="Print one JSON document.")
