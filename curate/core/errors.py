"""The one exception that users see."""


class CurateError(Exception):
    """A problem that the user can mend: one sentence that says what is wrong, where, and what to do."""
