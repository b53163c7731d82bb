"""Options that `factors` and `step` share, said once, and groups of options as arguments of a command.

Typer reads the options of a command off its signature.  A command may take a dataclass instead, whose fields are
options, or such dataclasses again: `with_groups` shows Typer the fields, and makes the dataclass, which checks them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from functools import wraps
from typing import Annotated, Any, final

import typer

from geomkfac.errors import ValuesError
from geomkfac.maps import ACTIVATIONS
from geomkfac.maps.activations.by_name import WITH_PARAMETERS
from geomkfac.metrics.families.by_name import FAMILIES

NETWORK: Any = typer.Argument(
    metavar="NETWORK",
    show_default=False,
    help="A .npz or .safetensors file with <layer>.weight (m, n) and <layer>.bias (m,), or 'digits' (built in).",
)
DATA: Any = typer.Argument(
    metavar="DATA",
    help="A .npz or .safetensors file with X (N, n) and y; a folder with X.npy and y.npy, which are mapped and not "
    "read; or 'digits' (built in).",
)
ACTIVATION: Any = typer.Option(
    "--activation",
    metavar="NAME",
    show_default=False,
    help=f"Of the hidden layers of a fully connected network: {', '.join(ACTIVATIONS)}; with numbers in brackets, "
    f"such as 'leaky_relu(0.2)' or 'polynomial(0, 1)', also {', '.join(WITH_PARAMETERS)}.",
)
OUTPUT: Any = typer.Option(
    "--output",
    metavar="NAME",
    help="The output family, and what the outputs of the network are: "
    + "; ".join(f"{name} ({made().outputs})" for name, made in FAMILIES.items())
    + ".",
)
ARCHITECTURE: Any = typer.Option(
    "--architecture",
    metavar="STAGES",
    show_default=False,
    help="Of any other network: stages apart by spaces, such as 'convolution(padding=1) tanh max(2) dense'; or "
    "\"recurrence(at='last')\". Weights and data are laid out as in PyTorch: (m, channels, *kernel) and "
    "(N, channels, *grid); sequences are (N, T, n).",
)
WIDEN: Any = typer.Option(
    "--widen", help="Read arrays of bfloat16 and float16 in files as float32, exactly; they are refused otherwise."
)
BASIS: Any = typer.Option("--basis", metavar="NAME", help="given, centered, whitened or random.")
FISHER: Any = typer.Option(
    "--fisher", metavar="NAME", help="Targets of the Fisher metric: exact, sampled or empirical."
)
SAMPLES: Any = typer.Option(
    "--samples", metavar="N", help="Targets drawn for each datum, for --fisher sampled alone; 1 by default."
)
NORM: Any = typer.Option(
    "--norm",
    metavar="NAME",
    help="What decides where the metric is degenerate: 'given', the Euclidean norm of the given basis, or 'none', "
    "and then a degenerate metric is refused wherever a choice is needed.",
)
SEED: Any = typer.Option("--seed", metavar="N", help="What every random draw depends on.")
CHUNK: Any = typer.Option(
    "--chunk", metavar="N", show_default=False, help="Data per chunk; by default what bounds memory."
)
MEMORY: Any = typer.Option(
    "--memory",
    metavar="SIZE",
    show_default=False,
    help="How much may be allocated beyond data and weights, such as 2GiB: chunks are as large as it allows.",
)
WORKERS: Any = typer.Option(
    "--workers",
    metavar="N",
    show_default=False,
    help="Processes of one thread each, which share the chunks; the result is the same for any number of them.",
)
SCHEDULER: Any = typer.Option(
    "--scheduler",
    metavar="ADDRESS",
    show_default=False,
    help="Of a Dask cluster whose workers share the chunks, such as tcp://host:8786.",
)
STATE: Any = typer.Option(
    "--state",
    metavar="FILE",
    show_default=False,
    help="A .npz file in which the sums are saved after every chunk; an interrupted run goes on from there.",
)
JOBS: Any = typer.Option(
    "--jobs", metavar="N", min=1, show_default=False, help="Processes; by default one for each processor."
)
JSON: Any = typer.Option("--json", help="Print one JSON document.")

MOST_STEPS = 10_000
"""Of an audit: rounding has grown beyond all groups long before; more is a mistake of typing."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemOptions:
    """Which network, data and output family, and what is chosen where the metric leaves something open.

    Raises
    ------
    ValuesError : both an activation, for fully connected layers, and an architecture came, or neither.
    """

    network: Annotated[str, NETWORK]
    data: Annotated[str, DATA]
    activation: Annotated[str | None, ACTIVATION] = None
    architecture: Annotated[str | None, ARCHITECTURE] = None
    output: Annotated[str, OUTPUT]
    widen: Annotated[bool, WIDEN] = False
    basis: Annotated[str, BASIS] = "given"
    norm: Annotated[str, NORM] = "none"

    def __post_init__(self) -> None:
        if (self.activation is None) == (self.architecture is None):
            came = "neither" if self.activation is None else "both"
            raise ValuesError(
                "a network needs either --activation, for fully connected layers, or --architecture.\n"
                f"  required: one of them\n  came    : {came}\nFor instance --activation tanh."
            )


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer is to read it: every argument that is a dataclass spread into its fields."""
    arguments = inspect.signature(command, eval_str=True).parameters.values()

    @wraps(command)
    def run(**values: Any) -> None:
        command(**{one.name: _gathered(one, values) for one in arguments})

    spread = [option for one in arguments for option in _spread(one)]
    run.__signature__ = inspect.Signature(spread)  # type: ignore[attr-defined]
    run.__annotations__ = {option.name: option.annotation for option in spread}
    return run


def _fields(group: Any) -> Any:
    return inspect.signature(group, eval_str=True).parameters.values()


def _spread(argument: inspect.Parameter) -> Iterator[inspect.Parameter]:
    if not is_dataclass(argument.annotation):
        yield argument.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        return
    for field in _fields(argument.annotation):
        yield from _spread(field)


def _gathered(argument: inspect.Parameter, values: dict[str, Any]) -> Any:
    """The value of an argument, from the values of all options."""
    if not is_dataclass(argument.annotation):
        return values[argument.name]
    group: Any = argument.annotation
    return group(**{field.name: _gathered(field, values) for field in _fields(group)})
