"""What a worker of an executor may meet."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geomkfac.maps import activation
from geomkfac.maps.activations.activation import Activation


@dataclass(frozen=True)
class Deadly(Activation):
    """tanh, which kills a process other than `home`: once for each file in `flags`, and of every number above 1e5."""

    home: int
    flags: str

    @property
    def name(self) -> str:
        return "deadly"

    def value_and_derivative(self, ns: Any, z: Any) -> tuple[Any, Any]:
        if os.getpid() != self.home:
            for flag in Path(self.flags).iterdir():
                try:
                    flag.unlink()
                except FileNotFoundError:  # another worker died of it
                    continue
                os.kill(os.getpid(), signal.SIGKILL)
            if float(abs(z).max()) > 1e5:
                os.kill(os.getpid(), signal.SIGKILL)
        return activation("tanh").value_and_derivative(ns, z)

    def second_derivative(self, ns: Any, z: Any) -> Any:
        return activation("tanh").second_derivative(ns, z)


@dataclass(frozen=True)
class Tattling(Activation):
    """tanh, which leaves a file of the name of every process that computes it in `folder`."""

    folder: str

    @property
    def name(self) -> str:
        return "tattling"

    def value_and_derivative(self, ns: Any, z: Any) -> tuple[Any, Any]:
        (Path(self.folder) / str(os.getpid())).touch()
        return activation("tanh").value_and_derivative(ns, z)

    def second_derivative(self, ns: Any, z: Any) -> Any:
        return activation("tanh").second_derivative(ns, z)
