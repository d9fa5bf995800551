"""Text inside SQL, where a statement takes no parameters."""

from __future__ import annotations


def quote_text(text: object) -> str:
    """Return a text as a literal of SQL.

    >>> quote_text("it's")
    "'it''s'"
    """
    return "'{}'".format(str(text).replace("'", "''"))
