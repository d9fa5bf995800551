"""`--json`, on every command and in one place: standard output holds what the command returns, and nothing else.

A command prints for people and returns a document (`curate.cli.documents`, or a frozen dataclass of a stage). With
`--json`, what is meant for people goes to standard error, and the document to standard output; so does a `Failure`
where the command fails. Where the log is JSON too (`CURATE_LOG_FORMAT=json`), what is meant for people is left out.
`print_document` is for commands that stay: each document is one line.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from curate.cli.interrupts import exit_when_interrupted, raise_interruptions
from curate.core.log_lines import is_json_log

Function = Callable[..., Any]

INTERRUPTED = 130
_WANTED = "curate.json"  # in the metadata that a command's context shares with those above it
_stream: ContextVar[TextIO | None] = ContextVar("stream", default=None)
_OPTION = typer.Option(
    "--json", help="Print the result as JSON, for programs; what is meant for people goes to standard error."
)


class ExitWith(typer.Exit):
    """End a command with an exit code and the document that says why."""

    def __init__(self, document: object, code: int = 1) -> None:
        super().__init__(code)
        self.document = document


class ProgramTyper(typer.Typer):
    """A command line of which every command takes `--json`, also before its name where a group has options."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Register a command; see `typer.Typer.command`."""
        return _register_with_option(super().command(name, **options))

    def callback(self, **options: Any) -> Callable[[Any], Any]:
        """Register what a group does before or without a command; see `typer.Typer.callback`."""
        return _register_with_option(super().callback(**options))


def is_json_wanted() -> bool:
    """Tell whether standard output belongs to a program now."""
    return _stream.get() is not None


def print_document(document: object) -> None:
    """Print a document as one line at once, if `--json` is given: for commands that stay."""
    stream = _stream.get()
    if stream is not None:
        _write(stream, document, indent=None)


def format_document(document: object, *, indent: int | None = 2) -> str:
    """Format a document as JSON: dataclasses are objects, paths and times are text, NaN is null.

    Characters that could steer a terminal are spelt out.
    """
    from pydantic_core import to_json

    from curate.core.terminal import escape_json

    return escape_json(to_json(document, indent=indent, inf_nan_mode="null", bytes_mode="base64").decode())


def add_json_option(function: Function) -> Function:
    """Return a function with the parameters of `function` and `--json`, which runs it and prints what it returns."""
    own = inspect.signature(function).parameters.values()
    evaluated = [parameter.replace(annotation=_evaluate(parameter, function)) for parameter in own]
    named = [parameter.name for parameter in evaluated if parameter.annotation is typer.Context]
    name_of_context = named[0] if named else "program_context"  # Typer hands the context to one parameter

    @functools.wraps(function)
    def run_command(*, as_json: bool, **values: Any) -> Any:
        context: typer.Context = values[name_of_context] if named else values.pop(name_of_context)
        if as_json:
            context.meta[_WANTED] = True
        call = raise_interruptions()(functools.partial(function, **values))
        if context.invoked_subcommand is not None or not context.meta.get(_WANTED):
            with exit_when_interrupted():
                return call()
        return _answer_in_json(call)

    kind = inspect.Parameter.KEYWORD_ONLY
    added = [inspect.Parameter("as_json", kind, default=False, annotation=Annotated[bool, _OPTION])]
    if not named:
        added.append(inspect.Parameter(name_of_context, kind, annotation=typer.Context))
    parameters = [*evaluated, *added]
    run_command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run_command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run_command


def _register_with_option(register: Callable[[Function], Function]) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        register(add_json_option(function))
        return function

    return decorate


def _evaluate(parameter: inspect.Parameter, function: Function) -> Any:
    """Evaluate an annotation; not the returned type, which may be one that only type checkers import."""
    annotation = parameter.annotation
    return eval(annotation, function.__globals__) if isinstance(annotation, str) else annotation


def _answer_in_json(call: Callable[[], Any]) -> Any:
    with _redirect_output() as stream:
        try:
            document = call()
        except ExitWith as ending:
            _write(stream, ending.document)
            raise
        except typer.Exit as ending:
            if ending.exit_code == INTERRUPTED:
                _write(stream, _describe_interruption())
            elif ending.exit_code:
                _write(stream, _describe_exit(ending.exit_code))
            raise
        except KeyboardInterrupt:
            _write(stream, _describe_interruption())
            raise
        except typer.Abort:
            _write(stream, _describe_exit(1))
            raise
        except Exception as error:
            _write(stream, _describe_failure(error))
            raise
        if document is not None:
            _write(stream, document)
    return document


@contextlib.contextmanager
def _redirect_output() -> Iterator[TextIO]:
    stream = sys.stdout
    token = _stream.set(stream)
    try:
        with contextlib.ExitStack() as stack:
            tables = stack.enter_context(Path(os.devnull).open("w")) if is_json_log() else sys.stderr
            stack.enter_context(contextlib.redirect_stdout(tables))
            yield stream
    finally:
        _stream.reset(token)


def _write(stream: TextIO, document: object, indent: int | None = 2) -> None:
    stream.write(format_document(document, indent=indent) + "\n")
    stream.flush()


def _describe_failure(error: Exception) -> object:
    from curate.cli.documents import Failure
    from curate.cli.failures import explain_failure

    sentence, code = explain_failure(error)
    return Failure(sentence, code)


def _describe_interruption() -> object:
    from curate.cli.documents import Failure

    return Failure("interrupted; what was committed is kept, run the same command to go on", INTERRUPTED)


def _describe_exit(code: int) -> object:
    from curate.cli.documents import Failure

    return Failure("the command has ended; standard error says why", code)
