"""The contract with programs, made of the commands themselves: `python -m curate.cli.reference`.

It writes schemas/cli/COMMAND.json (the JSON that `--json` prints) and docs/reference/cli.md (all commands, their
options and their shapes). A test holds both against the code.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from pydantic.errors import PydanticUserError

from curate.cli.command_tree import Command, list_commands

ROOT = Path(__file__).resolve().parents[2]
EXIT_CODES = {
    0: "done, or there was nothing to do",
    1: "a mistake that the user can mend, a check that says no, or a machine that is full, closed or gone",
    2: "the command line itself is wrong: an unknown command or option, or a value out of range",
    70: "a fault of `curate` itself; nothing that was committed is lost",
    130: "interrupted; what was committed is kept, the same command goes on",
}


def find_shape(function: Any) -> Any:
    """Find the type that a command returns; names that only type checkers import are imported here."""
    return typing.get_type_hints(function, localns=_import_names(function.__module__))["return"]


def _import_names(module: str) -> dict[str, Any]:
    """Import what a module imports for type checkers alone."""
    names: dict[str, Any] = {}
    for node in ast.walk(ast.parse(inspect.getsource(importlib.import_module(module)))):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for line in node.body:
                if isinstance(line, ast.ImportFrom) and line.module:
                    source = importlib.import_module(line.module)
                    names |= {alias.name: getattr(source, alias.name) for alias in line.names}
    return names


def build_command_schema(command: Command) -> dict[str, Any]:
    """Build the JSON Schema of what a command prints with `--json`; a command that fails prints a `Failure`."""
    shape = find_shape(command.function)
    choices = typing.get_args(shape) if isinstance(shape, types.UnionType) else (shape,)
    schemas = [_build_schema(choice) for choice in choices if choice is not type(None)]
    definitions: dict[str, Any] = {}
    for schema in schemas:
        definitions |= schema.pop("$defs", {})
    body = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"curate {command.name} --json",
    }
    return (
        head
        | {key: value for key, value in body.items() if key != "title"}
        | ({"$defs": definitions} if definitions else {})
    )


def _build_schema(shape: Any) -> dict[str, Any]:
    """Build the schema of one type; types of modules that import names late get these first."""
    namespace = _import_names(getattr(shape, "__module__", "builtins")) if inspect.isclass(shape) else {}
    config = ConfigDict(arbitrary_types_allowed=True)
    try:
        adapter = TypeAdapter(shape, config=config)
    except PydanticUserError:
        adapter = TypeAdapter(shape)
    adapter.rebuild(force=True, raise_errors=True, _types_namespace=namespace | vars(typing))
    return adapter.json_schema(mode="serialization")


def build_page() -> str:
    """Build the page docs/reference/cli.md."""
    lines = [
        "# Commands",
        "",
        "<!-- Made by `python -m curate.cli.reference`; do not edit. -->",
        "",
        "Every command takes `--json`: standard output holds one JSON document and nothing else, and what is meant for",
        "people goes to standard error. Commands that stay (`status --watch`, `verify watch`) print one document a",
        'line. Where a command fails, the document is `{"error": sentence, "exit_code": code}`; where the command line',
        "is wrong (exit code 2), there is none. `curate --json COMMAND` is the same. With",
        "`CURATE_LOG_FORMAT=json` standard error holds JSON objects too, one a line, with `time`, `level`, `event` and",
        "`message`.",
        "",
        "## Exit codes",
        "",
        "| code | |",
        "| --- | --- |",
        *(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()),
        "",
    ]
    for command in list_commands():
        lines += _describe_command(command)
    return "\n".join(lines).rstrip() + "\n"


def _describe_command(command: Command) -> list[str]:
    summary, arguments, options = command.summary, command.arguments, command.options
    usage = " ".join(["curate", *command.words, *map(_name_argument, arguments)])
    schema = f"{'-'.join(command.words)}.json"
    lines = [f"## curate {command.name}", "", summary, "", "```text", f"{usage} [OPTIONS]", "```", ""]
    if arguments or options:
        lines += ["| | |", "| --- | --- |"]
        lines += [f"| `{_name_argument(argument)}` | {_escape(argument.help)} |" for argument in arguments]
        lines += [
            f"| {_name_option(option)} | {_escape(option.help)}{_tell_default(option)} |"
            for option in options
        ]
        lines.append("")
    lines += [f"`--json` prints [{schema}](../../schemas/cli/{schema}):", "", *_describe_shape(command), ""]
    return lines


def _describe_shape(command: Command) -> list[str]:
    shape = find_shape(command.function)
    choices = typing.get_args(shape) if isinstance(shape, types.UnionType) else (shape,)
    lines = []
    for choice in choices:
        if choice is type(None):
            continue
        if not inspect.isclass(choice):
            lines.append("- a list of objects")
            continue
        keys = ", ".join(f"`{name}`" for name in getattr(choice, "__dataclass_fields__", {}))
        about = (inspect.getdoc(choice) or "").split("\n\n")[0].replace("\n", " ")
        lines.append(f"- {keys}. {_escape(about)}")
    return lines


def _name_argument(argument: Any) -> str:
    name = (argument.metavar or argument.name).upper()
    return name if argument.required else f"[{name}]"


def _name_option(option: Any) -> str:
    return ", ".join(f"`{name}`" for name in sorted(option.opts, key=len, reverse=True))


def _tell_default(option: Any) -> str:
    default = option.default
    known = isinstance(default, str | int | float | Path) and not isinstance(default, bool)
    return f" Default: `{default}`." if known else ""


def _escape(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "").replace("|", "\\|").replace("<", "&lt;")


def main() -> None:
    """Write schemas and page."""
    folder = ROOT / "schemas/cli"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {}
    for command in list_commands():
        text = json.dumps(build_command_schema(command), indent=2, ensure_ascii=False)
        wanted[folder / f"{'-'.join(command.words)}.json"] = text + "\n"
    for file in folder.glob("*.json"):
        if file not in wanted:
            file.unlink()
    page = ROOT / "docs/reference/cli.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    for file, text in (wanted | {page: build_page()}).items():
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
