"""Texts of users in Markdown."""

from __future__ import annotations

import html
import re

from curate.core.terminal import escape_controls


def escape_markdown(text: str) -> str:
    r"""Escape text for one cell or line: no markup of its own, no line break, no control character.

    >>> print(escape_markdown("a | <b>b</b> *c*"))
    a \| &lt;b&gt;b&lt;/b&gt; \*c\*
    """
    line = escape_controls(" ".join(text.split()))
    return re.sub(r"([\\`*_~|\[\]#!])", r"\\\1", html.escape(line, quote=False))
