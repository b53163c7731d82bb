"""kfac-jax in the audit: its optimizer on a twin that is written as a function of JAX."""

from __future__ import annotations

from importlib import import_module
from typing import Any, final

import numpy as np

from geomkfac.audit.contestants.contestant import Contestant, UnauditableError
from geomkfac.audit.twins.storage import PLAIN, Arrays, Storage
from geomkfac.audit.twins.twin import Twin
from geomkfac.errors import MissingExtraError
from geomkfac.metrics import Gaussian
from geomkfac.networks import MLP

DAMPING = 1e-3


def kfac_jax_optimizer() -> Contestant:
    """``kfac_jax.Optimizer`` with its defaults and a fixed damping of 1e-3, no momentum and no burn-in steps."""
    return _KfacJax()


@final
class _KfacJax(Contestant):
    """Fully connected networks with a squared error."""

    name = "kfac-jax"
    scales = False
    squares = True

    def __init__(self) -> None:
        try:
            import_module("jax.experimental")
            self._jax, self._library = import_module("jax"), import_module("kfac_jax")
        except ImportError as error:
            raise MissingExtraError("kfac_jax is not installed: pip install kfac-jax.") from error
        self._made: dict[Any, Any] = {}

    def unfit(self, storage: Storage) -> str:
        return "" if storage is PLAIN else "it sees a function, whose parameters have one layout"

    def run(self, twin: Twin, start: Arrays, *, rate: float, steps: int) -> list[list[tuple[Any, Any]]]:
        network, family = twin.problem.network, twin.problem.family
        plain = twin.storage is PLAIN and twin.loss_scale == 1
        if not isinstance(network, MLP) or not isinstance(family, Gaussian) or not plain:
            raise UnauditableError(f"{self.name} is run on fully connected networks with a squared error alone.")
        names = tuple(unit.activation for unit in twin.problem.units)
        # In float32 its losses would otherwise be weighted in float64.
        enable_x64 = getattr(self._jax, "enable_x64", None)
        if enable_x64 is None:
            enable_x64 = self._jax.experimental.enable_x64
        with self.errors_named(), enable_x64(twin.dtype == "float64"):
            return self._run(twin, start, names, rate, steps)

    def _run(
        self, twin: Twin, start: Arrays, names: tuple[str, ...], rate: float, steps: int
    ) -> list[list[tuple[Any, Any]]]:
        jax = self._jax
        key = (names, twin.dtype, twin.inputs.shape, tuple(W.shape for W, _ in start))
        if key not in self._made:
            self._made[key] = self._optimizer(names)
        optimizer = self._made[key]
        as_jax = jax.numpy.asarray
        parameters = [{"w": as_jax(W.T), "b": as_jax(b)} for W, b in start]
        moves = [tuple(map(as_jax, pair)) for pair in _moves(twin)]
        batch = (as_jax(twin.inputs), as_jax(twin.targets), moves)
        numbers = jax.random.PRNGKey(0)
        state = optimizer.init(parameters, numbers, batch)
        found = []
        for step in range(steps):
            parameters, state, _ = optimizer.step(
                parameters, state, numbers, batch=batch, global_step_int=step, learning_rate=as_jax(rate, twin.dtype),
                momentum=as_jax(0.0, twin.dtype), damping=as_jax(DAMPING, twin.dtype),
            )  # fmt: skip
            # Copies: the optimizer gives buffers away.
            found.append([(np.array(layer["w"]).T.copy(), np.array(layer["b"])) for layer in parameters])
            parameters = [{key: value + 0 for key, value in layer.items()} for layer in parameters]
        return found

    def _optimizer(self, names: tuple[str, ...]) -> Any:
        jax, library = self._jax, self._library
        functions = {"tanh": jax.numpy.tanh, "relu": jax.nn.relu, "identity": lambda z: z}
        missing = set(names) - set(functions)
        if missing:
            raise UnauditableError(f"{self.name} is run with {', '.join(functions)} units here, not {missing}.")

        def loss(parameters: Any, batch: Any) -> Any:
            a, targets, moves = batch
            for layer, name, before, after in zip(parameters[:-1], names, moves[:-1:2], moves[1:-1:2], strict=True):
                z = a @ layer["w"] + layer["b"]
                a = functions[name](z @ before[0].T + before[1]) @ after[0].T + after[1]
            outputs = (a @ parameters[-1]["w"] + parameters[-1]["b"]) @ moves[-1][0].T + moves[-1][1]
            library.register_squared_error_loss(outputs, targets)
            return jax.numpy.sum((outputs - targets) ** 2) / len(targets) / 2

        return library.Optimizer(
            value_and_grad_func=jax.value_and_grad(loss), l2_reg=0.0, initial_damping=DAMPING, num_burnin_steps=0
        )


def _moves(twin: Twin) -> list[tuple[Any, Any]]:
    """Around every activation, and after the outputs: from the twin's frames to those of coordinates, and back."""
    found = []
    for unit in twin.problem.units:
        found += [twin.into_problem(unit.before), twin.out_of_problem(unit.after)]
    return [*found, twin.into_problem(twin.problem.network.outputs)]
