"""What a worker of the catalogue may meet."""

from __future__ import annotations

import os
import time


def hangs():
    time.sleep(1000)


def turns():
    while True:
        pass


def dies():
    os._exit(3)


def raises():
    raise ZeroDivisionError("planted")
