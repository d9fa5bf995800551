"""The tree of commands as data: for the reference, for coding agents, and for tests of documentation."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from typer.main import get_command


@dataclass(frozen=True, slots=True)
class Command:
    """A command that can be run: its words, the function behind it, and the Click command with its parameters."""

    words: tuple[str, ...]
    function: Any
    click: Any

    @property
    def name(self) -> str:
        return " ".join(self.words)

    @property
    def arguments(self) -> list[Any]:
        return [param for param in self.click.params if param.param_type_name == "argument"]

    @property
    def options(self) -> list[Any]:
        """The options of the command's own, without `--json`."""
        params = self.click.params
        return [param for param in params if param.param_type_name == "option" and param.name != "as_json"]

    @property
    def summary(self) -> str:
        return inspect.cleandoc(self.click.help or inspect.getdoc(self.function) or "")


def list_commands() -> list[Command]:
    """List every command that can be run, in the order of `curate --help`, and groups that run by themselves."""
    from curate.cli.app import app  # which registers a command that lists them

    return list(_walk(get_command(app), ()))


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[Command]:
    children = getattr(command, "commands", {})
    if words and command.callback is not None and (not children or command.invoke_without_command):
        yield Command(words, inspect.unwrap(command.callback), command)
    for name, child in children.items():
        yield from _walk(child, (*words, name))
