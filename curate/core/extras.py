"""Parts of `curate` that need packages of an extra: each says what to install where a package is missing."""

from __future__ import annotations

import importlib.util

from curate.core.errors import CurateError


class MissingExtraError(CurateError):
    """A package that only an extra of `curate` brings is not installed."""


def require_extra(extra: str, *modules: str, purpose: str) -> None:
    """Raise one sentence with the line that installs what is missing; import nothing.

    Args:
        extra: The extra of pyproject.toml that brings the modules.
        modules: Top-level modules that are needed.
        purpose: What needs them; the sentence begins with it ("Training a reward model").

    Raises:
        MissingExtraError: If a module is not installed.
    """
    missing = [module for module in modules if not is_installed(module)]
    if missing:
        names = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
        raise MissingExtraError(f"{purpose} needs {names}: run `pip install 'curate[{extra}]'`.")


def is_installed(module: str) -> bool:
    """Tell whether a module can be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a module that is blocked, or half imported
        return False
