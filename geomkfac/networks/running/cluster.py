"""Work on a cluster: Dask's executor, asked through its client.

``ClientExecutor.submit`` hands out futures of ``concurrent.futures`` that a coroutine completes.  Where a result is
lost on its way from a dying worker, that coroutine ends in the exception, and its future is never completed: who
waits for it waits for ever.  The client's own futures tell.
Source: distributed 2026.8, cfexecutor.py (`_cascade_future`) and client.py (`Client._gather`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from importlib import import_module
from typing import Any, final

from geomkfac.errors import WorkerLostWarning

PATIENCE = 30.0
"""Seconds after which it is asked whether a cluster that does not answer has workers at all."""


def client_of(executor: Executor | None) -> Any:
    """The client behind Dask's executor; None behind another."""
    # distributed is optional: its classes are known by name.
    known = any(base.__name__ == "ClientExecutor" for base in type(executor).__mro__)
    return getattr(executor, "_client", None) if known else None


def threads_of(client: Any) -> int | None:
    """How many threads the workers of a cluster have; None where it does not tell."""
    with suppress(Exception):
        return int(sum(client.nthreads().values()))
    return None


def spread(client: Any, data: Any) -> Any:
    """The data, on every worker ahead of the work; themselves where they cannot be spread, to go along with it."""
    if threads_of(client):
        with suppress(Exception):
            return client.scatter(data, broadcast=True, hash=False)
    return data


def on_cluster(executor: Executor, function: Callable[..., Any], *arguments: Any) -> ClusterFuture:
    """The future of a call, with what the executor was given for calls, such as resources.

    Raises
    ------
    RuntimeError : the executor, or its client, was shut down.
    """
    if getattr(executor, "_shutdown", False):
        raise RuntimeError("cannot schedule new futures after shutdown")
    # Not pure: no answer is to be looked up, and no argument to be hashed for it.
    given = {**getattr(executor, "_kwargs", {}), "pure": False}
    client = client_of(executor)
    try:
        return ClusterFuture(client, client.submit(function, *arguments, **given))
    except Exception as error:
        if type(error).__name__ == "ClosedClientError":
            raise RuntimeError(str(error)) from error
        raise


@final
class ClusterFuture:
    """A future of Dask's client, with what is asked of those of ``concurrent.futures``."""

    __slots__ = ("_client", "_future")

    def __init__(self, client: Any, future: Any) -> None:
        self._client, self._future = client, future

    def result(self) -> Any:
        """What it ends in; a cluster without workers is waited for, and warned of.

        A cluster may be about to get workers.  But a local one also closes for good a worker that is away when
        ``distributed.deploy.lost-worker-timeout`` ends.
        """
        distributed = import_module("distributed")
        warned = False
        while not self._future.done():
            with suppress(distributed.TimeoutError):
                distributed.wait([self._future], timeout=PATIENCE)
            if not (warned or self._future.done()) and threads_of(self._client) == 0:
                warned = True
                warnings.warn(
                    f"the cluster has no workers ({self._client!r}); their sums are waited for. Add workers, or "
                    "interrupt: what a checkpoint has saved is kept.",
                    WorkerLostWarning,
                    stacklevel=2,
                )
        return self._future.result()

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return bool(self._future.cancelled())

    def done(self) -> bool:
        """Whether it has ended."""
        return bool(self._future.done())

    def exception(self) -> BaseException | None:
        """The exception that it ended in; None where it ended well."""
        found: BaseException | None = self._future.exception()
        return found

    def cancel(self) -> None:
        """Forget the call, if there is still a cluster to be told."""
        with suppress(Exception):
            self._future.cancel()
