"""Prompt templates: versioned Jinja files whose blocks are the turns of a chat.

    {% block system %} … {% endblock %}    the system turn (may be missing)
    {% block user %} … {% endblock %}      the user turn
    {% block answer %} … {% endblock %}    how the judge's answer begins (may be missing)
    {% block verdict %} … {% endblock %}   how its verdict begins, where it thinks first (may be missing)

Texts of responses are values and are never read as a template. Each stands between lines with the delimiter (`marker`
in templates), a word that nobody can know and that occurs in no text: no response can close its own frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Template, TemplateError
from jinja2.runtime import Context, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from curate.core.errors import CurateError
from curate.core.resources import find_resource
from curate.engine.base import Chat, build_chat
from curate.engine.delimiter import make_delimiter

__all__ = ["ChatTemplate", "make_delimiter"]


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A parsed template; its `text` identifies it."""

    text: str
    _template: Template

    @classmethod
    def load(
        cls, name: str, *, folder: Path, where: str, shipped_in: str = "judge/templates"
    ) -> ChatTemplate:
        """Load a template.

        Args:
            name: Name of a template of the package (`pairwise-v1`), or a .jinja file.
            folder: Folder where relative files start.
            where: Key of curate.yaml that names it, for error messages.
            shipped_in: Folder of the package's templates.
        """
        if name.endswith(".jinja"):
            path = folder / name
            if not path.is_file():
                raise CurateError(f"`{where}` is {name!r}, but there is no file {path}.")
            text = path.read_text(encoding="utf-8")
        else:
            shipped = find_resource(f"{shipped_in}/{name}.jinja")
            if not shipped.is_file():
                known = sorted(
                    file.name.removesuffix(".jinja") for file in find_resource(shipped_in).iterdir()
                )
                raise CurateError(
                    f"`{where}` is {name!r}: name a .jinja file, or one of the templates {', '.join(known)}."
                )
            text = shipped.read_text(encoding="utf-8")
        environment = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        try:
            template = environment.from_string(text)
        except TemplateError as error:
            raise CurateError(f"`{where}` is {name!r}, which is no valid template: {error}.") from error
        if "user" not in template.blocks:
            raise CurateError(f"`{where}` is {name!r}, which has no block `user`.")
        return cls(text, template)

    def render(self, **values: object) -> tuple[Chat, str]:
        """Return the chat, and the beginning of the judge's answer."""
        context = self._template.new_context(values)
        turns = {name: self._render_block(name, context) for name in ("system", "user", "answer")}
        if turns["system"]:
            return build_chat(("system", turns["system"]), ("user", turns["user"])), turns["answer"]
        return build_chat(("user", turns["user"])), turns["answer"]

    @property
    def verdict(self) -> str:
        """Beginning of the verdict after reasoning; "" if the template has none."""
        return self._render_block("verdict", self._template.new_context())

    def _render_block(self, name: str, context: Context) -> str:
        block = self._template.blocks.get(name)
        if block is None:
            return ""
        try:
            return "".join(block(context)).strip()
        except TemplateError as error:
            raise CurateError(f"The template cannot be filled in (block {name}): {error}.") from error
