"""The one exception that users see."""

from __future__ import annotations

from curate.core.secrets import scrub_text


class CurateError(Exception):
    """A problem that the user can mend: one sentence that says what is wrong, where, and what to do.

    Secrets are replaced in the message, so no place that quotes an address or another program can let one out.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(scrub_text(value) if isinstance(value, str) else value for value in args))
