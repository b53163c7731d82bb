"""Groups of options: a dataclass as an argument of a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from geomkfac.cli.options import ProblemOptions, with_groups
from geomkfac.errors import ValuesError

COUNT = typer.Option("--count", help="How many.")


@dataclass(frozen=True)
class Inner:
    count: Annotated[int, COUNT] = 3


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: Annotated[str, typer.Option("--name")]
    inner: Inner

    def __post_init__(self) -> None:
        if self.name == "refused":
            raise ValuesError("no such name.")


def command() -> typer.Typer:
    app = typer.Typer()

    @app.command()
    @with_groups
    def show(outer: Outer, loud: Annotated[bool, typer.Option("--loud")] = False) -> None:
        """Say what came."""
        typer.echo(f"{outer.name} {outer.inner.count} {loud}")

    return app


@pytest.mark.parametrize(
    ("words", "said"), [(("--name", "a"), "a 3 False"), (("--count", "5", "--loud", "--name", "b"), "b 5 True")]
)
def test_the_fields_of_groups_within_groups_are_options(words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(command(), words)
    assert done.exit_code == 0
    assert done.output == f"{said}\n"


def test_help_and_types_are_those_of_the_fields() -> None:
    told = " ".join(CliRunner().invoke(command(), ["--help"]).output.split())
    assert "Say what came." in told
    assert "How many." in told
    assert CliRunner().invoke(command(), ["--name", "a", "--count", "many"]).exit_code == 2
    assert CliRunner().invoke(command(), []).exit_code == 2


def test_a_group_checks_itself_before_the_command_runs() -> None:
    done = CliRunner().invoke(command(), ["--name", "refused"])
    assert isinstance(done.exception, ValuesError)
    assert done.output == ""


@pytest.mark.parametrize("which", [{}, {"activation": "tanh", "architecture": "dense"}])
def test_a_network_is_asked_for_in_one_way(which: dict[str, str]) -> None:
    with pytest.raises(ValuesError, match=f"came    : {'both' if which else 'neither'}"):
        ProblemOptions(network="digits", data="digits", output="categorical", **which)
