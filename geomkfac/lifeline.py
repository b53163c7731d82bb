"""A process that ends with another one, however that one ends: a pipe between them is open as long as it lives."""

from __future__ import annotations

import os
import signal
import sys
from threading import Thread


def end_with(pipe: int) -> None:
    """From now on, end this process where the last writer of a pipe is gone.

    On Linux the kernel kills it, also inside one long call of a library.  Elsewhere a thread ends it, which waits for
    such a call where that keeps Python's lock.

    Parameters
    ----------
    pipe : the descriptor of its reading end, into which nobody writes any more; on Windows the handle of a process
    """
    if sys.platform == "linux":
        import fcntl
        from select import select

        # Not PR_SET_PDEATHSIG, which kills where the thread ends that has started this process.
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
        if select([pipe], [], [], 0)[0]:  # It was gone before.
            os._exit(1)
    else:
        Thread(target=_watch, args=(pipe,), daemon=True).start()


def _watch(pipe: int) -> None:
    from multiprocessing.connection import wait

    wait([pipe])
    os._exit(1)
