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
from typing import Any

from geomkfac.errors import WorkerLostWarning

__all__ = ["client_of", "on_cluster", "result_of", "spread", "threads_of"]

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


def on_cluster(executor: Executor, function: Callable[..., Any], *arguments: Any) -> Any:
    """The client's future of a call, with what its executor was given for calls, such as resources.

    It has ``result``, ``cancel``, ``cancelled``, ``done`` and ``exception``, as those of ``concurrent.futures``.

    Raises
    ------
    RuntimeError : the executor, or its client, was shut down.
    """
    if getattr(executor, "_shutdown", False):
        raise RuntimeError("cannot schedule new futures after shutdown")
    # Not pure: no answer is to be looked up, and no argument to be hashed for it.
    given = {**getattr(executor, "_kwargs", {}), "pure": False}
    try:
        return client_of(executor).submit(function, *arguments, **given)
    except Exception as error:
        if type(error).__name__ == "ClosedClientError":
            raise RuntimeError(str(error)) from error
        raise


def result_of(client: Any, future: Any) -> Any:
    """What a future of the client ends in; a cluster without workers is waited for, and warned of.

    A cluster may be about to get workers.  But a local one also closes for good a worker that is away when
    ``distributed.deploy.lost-worker-timeout`` ends.
    """
    distributed = import_module("distributed")
    warned = False
    while not future.done():
        with suppress(distributed.TimeoutError):
            distributed.wait([future], timeout=PATIENCE)
        if not (warned or future.done()) and threads_of(client) == 0:
            warned = True
            warnings.warn(
                f"the cluster has no workers ({client!r}); their sums are waited for. Add workers, or interrupt: "
                "what a checkpoint has saved is kept.",
                WorkerLostWarning,
                stacklevel=2,
            )
    return future.result()
