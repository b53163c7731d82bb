"""How a command goes through its data: in chunks, within a limit on memory, by workers, and told of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, final

from geomkfac.arrays.floats.threads import processors
from geomkfac.cli import options
from geomkfac.cli.printing import data_progress
from geomkfac.errors import MissingExtraError, ValuesError
from geomkfac.networks import Running, worker_processes
from geomkfac.networks.running.summing import PIECES


@final
@dataclass(frozen=True, slots=True)
class HowToRun:
    """The options --chunk, --memory, --workers and --scheduler.

    Raises
    ------
    ValuesError : two of them contradict each other, or one makes no sense.
    """

    chunk: Annotated[int | None, options.CHUNK] = None
    memory: Annotated[str | None, options.MEMORY] = None
    workers: Annotated[int | None, options.WORKERS] = None
    scheduler: Annotated[str | None, options.SCHEDULER] = None

    def __post_init__(self) -> None:
        for one, other in (("chunk", "memory"), ("workers", "scheduler")):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise ValuesError(
                    f"--{one} and --{other} say the same thing twice.\n  required: one of them\n"
                    f"  came    : --{one} {getattr(self, one)} --{other} {getattr(self, other)}\nLeave one of them out."
                )
        for name in ("chunk", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValuesError(
                    f"--{name} must be positive.\n  required: an integer, 1 or more\n  came    : {value}\n"
                    "The default is a good choice."
                )

        if self.workers is not None and self.workers > (most := max(PIECES, processors())):
            raise ValuesError(
                "so many processes would wait for each other.\n"
                f"  required: --workers {most} at most, as many as there are processors or chunks of data\n"
                f"  came    : --workers {self.workers}\nThe result is the same for any number of them."
            )

    @contextmanager
    def running(self, description: str, total: int | None) -> Iterator[Running]:
        """How passes over the data are run, with a bar of that description."""
        chosen = Running(chunk_size=self.chunk, memory_limit=self.memory)
        with self._executor() as executor, data_progress(description, total) as progress:
            yield Running(**chosen, executor=executor, progress=progress)

    @contextmanager
    def _executor(self) -> Iterator[Any]:
        if self.scheduler is not None:
            with _client(self.scheduler) as client:
                yield client.get_executor()
        elif self.workers is not None:
            yield worker_processes(self.workers)
        else:
            yield None


@contextmanager
def _client(address: str) -> Iterator[Any]:
    try:
        connect: Any = import_module("distributed").Client
    except ImportError as error:
        raise MissingExtraError(
            "--scheduler needs Dask.\n  required: the package distributed\n  came    : it is not installed\n"
            "Install it with pip install 'geomkfac[distributed]'."
        ) from error
    try:
        client = connect(address, timeout=10)
    except (OSError, ValueError) as error:
        raise ValuesError(
            f"no Dask scheduler answers.\n  required: an address such as tcp://host:8786\n  came    : {address} "
            f"({error})\nStart one with `dask scheduler`, and workers with `dask worker ADDRESS`."
        ) from error
    with client:
        yield client
