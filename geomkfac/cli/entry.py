"""The way into the program: signals are seen to before anything else is imported.

A handler in Python does not run inside one long call of LAPACK or FLINT.  So the program is forked off: the process
that was started waits for it, and ends it where it does not end itself.
"""

from __future__ import annotations

import os
import sys

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""Each ends the program with status 128 + its number, unless it was ignored when the program started."""

GRACE = 1.0
"""Seconds for which the program may tidy up; those in which it waits for a processor do not count."""


def main(arguments: list[str] | None = None) -> None:
    """Run the program and exit.

    Parameters
    ----------
    arguments : of a command line that is run in this process, whose signals are left alone; by default the process's
        own, and then it ends with status 130 at Ctrl-C, 143 at SIGTERM
    """
    if arguments is None and hasattr(os, "fork"):
        _fork()
    from geomkfac.cli.program import run

    run(sys.argv[1:] if arguments is None else arguments)


def _fork() -> None:
    """Return in a new process; the process that was started waits for that one, and exits as it does."""
    # At hand in every interpreter; `signal`, which wraps it, takes milliseconds to import.
    import _signal  # type: ignore[import-not-found]

    # From here on signals wait to be asked for, also those that come before the new process is there.
    numbers = {getattr(_signal, name) for name in SIGNALS}
    before = _signal.pthread_sigmask(_signal.SIG_BLOCK, {*numbers, _signal.SIGCHLD, _signal.SIGIO})
    import fcntl
    import signal

    signals = {number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}
    signal.signal(signal.SIGCHLD, _ignore)  # of children whose end is ignored by the system nothing is left to ask for
    reading, writing = os.pipe()
    # Signals that come to the new process alone are written into another pipe, and SIGIO tells of it.
    told, telling = os.pipe()
    os.set_blocking(telling, False)
    fcntl.fcntl(told, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(told, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    program = os.fork()
    if program:
        os.close(reading)
        os.close(telling)
        os._exit(_wait_for(program, signals, told))
    from geomkfac.lifeline import end_with

    os.close(writing)
    os.close(told)
    end_with(reading)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in signals:
        signal.signal(number, _interrupt)
    signal.set_wakeup_fd(telling, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


# -- in the program ----------------------------------------------------------------------------------------------
def _interrupt(*_: object) -> None:
    """Interrupt the program, once: what tidies up is left alone, and no exception on the way is worth a traceback."""
    import signal
    import threading

    for name in SIGNALS:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    sys.excepthook, sys.unraisablehook, threading.excepthook = _ignore, _ignore, _ignore
    raise KeyboardInterrupt


def _ignore(*_: object) -> None:
    pass


# -- in the process that was started -----------------------------------------------------------------------------
def _wait_for(program: int, signals: set[int], told: int) -> int:
    """The exit status, when the program has ended; it is ended if one of the signals comes, to whichever process."""
    import signal
    import time

    while True:
        number: int = signal.sigwait({*signals, signal.SIGCHLD, signal.SIGIO})
        ended, status = os.waitpid(program, os.WNOHANG)
        came = {number, *signal.sigpending(), *_read(told)} & signals
        if ended:
            return 128 + min(came) if came else _mirrored(status)
        if came:
            break
    number = min(came)
    os.kill(program, number)
    began = time.monotonic() - _starved(program)
    while not os.waitpid(program, os.WNOHANG)[0]:
        if time.monotonic() - _starved(program) - began > GRACE:
            os.kill(program, signal.SIGKILL)
            os.waitpid(program, 0)
            if os.isatty(2):
                os.write(2, b"\x1b[?25h\n")  # the cursor, which a progress bar hides
            break
        time.sleep(0.01)
    return 128 + number


def _read(pipe: int) -> bytes:
    """What there is to read, at most all signals of some systems."""
    try:
        return os.read(pipe, 64)
    except BlockingIOError:
        return b""


def _starved(process: int) -> float:
    """Seconds for which a process has waited for a processor, as far as the system tells."""
    try:
        with open(f"/proc/{process}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _mirrored(status: int) -> int:
    """The exit status of a process that has ended so; where a signal has killed it, this one dies of the same."""
    if os.WIFSIGNALED(status):
        import resource
        import signal

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # One has been written.
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    return os.waitstatus_to_exitcode(status)
