"""The one door to the terminal: texts of others are shown as characters, and steer nothing.

Names of models, annotators, rules and files, prompts and reasons come from data. Rich would read `[link=…]` in them as
markup, and a terminal would obey an escape character. Tables and consoles made here take every string as plain text.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curate.core.secrets import scrub_text

LOG_WIDTH = 130  # columns in a pipe or a log, where there is no screen to fit
_BREAKS = frozenset("\n\t")
_CONTROLS = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})  # escapes, direction overrides, zero-width marks
_UNPRINTABLE = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def escape_controls(text: str) -> str:
    r"""Return the text with every character spelt out that could steer a terminal or hide something.

    >>> escape_controls("red\x1b[31m \u202etxt")
    'red\\x1b[31m \\u202etxt'
    """
    text = text.replace("\r\n", "\n")
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char in _BREAKS or unicodedata.category(char) not in _CONTROLS else _spell_out(char)
        for char in text
    )


def clean_text(text: str, style: str = "") -> Text:
    """Make text for a console: without markup, control characters and secrets; lines are kept."""
    return Text(scrub_text(escape_controls(text)), style=style, overflow="fold")


def clean_cell(text: str, style: str = "") -> Text:
    """Make text for a cell of a table: one line, so that no name can look like a row of its own."""
    return clean_text(text.replace("\r\n", "\n").replace("\n", "\\n").replace("\t", "\\t"), style)


class SafeTable(Table):
    """A table that takes every string as plain text."""

    def add_column(self, header: Any = "", footer: Any = "", **options: Any) -> None:
        """Add a column; see `rich.table.Table.add_column`."""
        super().add_column(_clean_value(header), _clean_value(footer), **options)

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row; see `rich.table.Table.add_row`."""
        super().add_row(*map(_clean_value, cells), **options)


class SafeConsole(Console):
    """A console that prints every string as plain text; give a style by `style`, not by markup."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; see `rich.console.Console.print`."""
        clean = [clean_text(value) if isinstance(value, str) else value for value in objects]
        super().print(*clean, **options)


def new_table(*columns: str, title: str | None = None, **options: Any) -> SafeTable:
    """Make a table; columns whose name ends in `>` hold numbers and are set to the right."""
    heading = None if title is None else clean_cell(title, "bold")
    table = SafeTable(box=box.SIMPLE_HEAD, title=heading, title_justify="left", title_style="bold", **options)
    for column in columns:
        table.add_column(column.removesuffix(">"), justify="right" if column.endswith(">") else "left")
    return table


def new_console(*, stderr: bool = False) -> SafeConsole:
    """Make a console; in a pipe or a log it is wide, as there is no screen to fit."""
    console = SafeConsole(highlight=False, stderr=stderr)
    return console if console.is_terminal else SafeConsole(highlight=False, stderr=stderr, width=LOG_WIDTH)


def print_line(text: str, *, file: TextIO | None = None) -> None:
    """Print a sentence for people; it may quote names of others. What goes to standard error is a line of the log."""
    stream = file or sys.stdout
    if stream is sys.stderr:
        from curate.core.log_lines import is_json_log, write_log_line

        if is_json_log():
            write_log_line("note", text, level="warning")
            return
    stream.write(scrub_text(escape_controls(text)).encode("utf-8", "replace").decode() + "\n")
    stream.flush()


def print_data(text: str, *, end: str = "\n") -> None:
    """Print data for programs (CSV, JSON) exactly as it is."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


def escape_json(text: str) -> str:
    """Spell out, in a JSON document, characters that could steer a terminal; it stays the same document."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _clean_value(value: Any) -> Any:
    return clean_cell(value) if isinstance(value, str) else value


def _spell_out(char: str) -> str:
    return char.encode("unicode_escape").decode()
