"""Engines by name: those that `engines:` in curate.yaml declares are made once and shared by all judges."""

from __future__ import annotations

import difflib
import os
import secrets
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field

from curate.config.images import ImageAccess
from curate.config.project import Config
from curate.config.validation import validate_options
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.registry import Registry
from curate.core.secret_key import read_or_make_key
from curate.core.section import Section
from curate.engine.base import Capability, Chat, Engine, make_capability_error

KEY_VARIABLE = "CURATE_DELIMITER_KEY"


class EngineOptions(Section):
    """Options of every engine; each kind adds its own."""

    kind: str
    price_in: float | None = Field(None, ge=0, description="Cost of a million tokens read, in your currency.")
    price_out: float | None = Field(None, ge=0, description="Cost of a million tokens written.")


class ConfiguredEngine(Engine):
    """An engine that curate.yaml can declare. Making one is cheap; its model is opened on first use."""

    Options: ClassVar[type[EngineOptions]] = EngineOptions

    def __init__(self, name: str, options: Any, engines: Engines) -> None:
        self.name = name
        self.options = options

    def price(self, tokens_in: int, tokens_out: int) -> float | None:
        options: EngineOptions = self.options
        if options.price_in is None and options.price_out is None:
            return None
        return (tokens_in * (options.price_in or 0.0) + tokens_out * (options.price_out or 0.0)) / 1e6

    def make_token_counter(self) -> Callable[[Chat, str], int] | None:
        """Return a function that counts the tokens of a chat and the beginning of its answer; it needs no weights.

        None where there is no tokenizer at hand.
        """
        return None


ENGINES: Registry[ConfiguredEngine] = Registry("engine", ConfiguredEngine)  # type: ignore[type-abstract]


def engine(kind: str) -> Callable[[type[ConfiguredEngine]], type[ConfiguredEngine]]:
    """Return a class decorator that makes an engine known as `kind`."""
    return ENGINES.register(kind)


class Engines:
    """The engines of a workspace. Two declarations with equal options are one engine, with one copy of its model."""

    def __init__(
        self,
        declared: Mapping[str, Mapping[str, Any]],
        folder: Path,
        *,
        images: ImageAccess | None = None,
        workspace: Path | None = None,
    ) -> None:
        self.folder, self.workspace = folder, workspace
        self.images = images or ImageAccess(folder)
        self._declared = declared
        self._engines_by_options: dict[str, ConfiguredEngine] = {}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        workspace = config.resolve(config.workspace)
        return cls(config.engines, config.resolve("."), images=config.image_access(), workspace=workspace)

    @cached_property
    def delimiter_key(self) -> bytes:
        """The key of delimiters in prompts (see curate/engine/delimiter.py).

        It lies in the workspace, so that the same question is the same prompt in every run; without a workspace that
        can be written, it lasts as long as this object. The environment (`CURATE_DELIMITER_KEY`) may give it.
        """
        if given := os.environ.get(KEY_VARIABLE):
            return given.encode()
        try:
            if self.workspace is not None:
                return read_or_make_key(self.workspace / "delimiters.key")
        except OSError:
            pass
        return secrets.token_bytes(32)

    def get(self, name: str, *, where: str = "engine", needs: Capability | None = None) -> Engine:
        """Return the engine declared as `name`.

        Args:
            name: Name of the engine in curate.yaml.
            where: Key of curate.yaml that names it, for error messages.
            needs: Capability that the engine must have.

        Raises:
            CurateError: There is no such engine, or it lacks the capability.
        """
        if name not in self._declared:
            close = difflib.get_close_matches(name, self._declared, n=1)
            hint = (
                f"did you mean `{close[0]}`?"
                if close
                else f"declared are: {', '.join(self._declared) or 'none'}."
            )
            raise CurateError(f"`{where}` is {name!r}, but `engines` declares no such engine: {hint}")
        return self.make_engine(name, self._declared[name], where=f"engines.{name}", needs=needs)

    def make_engine(
        self, name: str, options: Mapping[str, Any], *, where: str, needs: Capability | None = None
    ) -> Engine:
        """Return an engine made from options; equal options give the same engine.

        Args:
            name: Name of the engine, for messages.
            options: Its options, `kind` included.
            where: Key of curate.yaml that holds them, for error messages.
            needs: Capability that the engine must have.
        """
        registered = ENGINES.find(options.get("kind"), where=f"{where}.kind", folder=self.folder)
        checked = validate_options(registered.type.Options, options, where=where)
        key = content_id(checked.model_dump(mode="json"))
        if key not in self._engines_by_options:
            self._engines_by_options[key] = registered.type(name, checked, self)
        engine = self._engines_by_options[key]
        if needs is not None and needs not in engine.capabilities:
            raise make_capability_error(engine, needs)
        return engine

    def record_use(self, used: list[Engine]) -> Engines:
        """Return the same engines; those that are asked for are added to `used`."""
        return _RecordingEngines(self, used)

    def check_all(self) -> None:
        """Make every declared engine, so that mistakes in curate.yaml show before any work."""
        for name in self._declared:
            _ = self.get(name).capabilities

    def close(self) -> None:
        for engine in self._engines_by_options.values():
            engine.close()
        self._engines_by_options.clear()


class _RecordingEngines(Engines):
    def __init__(self, engines: Engines, used: list[Engine]) -> None:
        super().__init__(
            engines._declared, engines.folder, images=engines.images, workspace=engines.workspace
        )
        self._engines, self._used = engines, used

    @cached_property
    def delimiter_key(self) -> bytes:
        return self._engines.delimiter_key

    def make_engine(
        self, name: str, options: Mapping[str, Any], *, where: str, needs: Capability | None = None
    ) -> Engine:
        engine = self._engines.make_engine(name, options, where=where, needs=needs)
        if engine not in self._used:
            self._used.append(engine)
        return engine


def build_engine_schemas() -> dict[str, dict[str, Any]]:
    """Build the JSON Schema of the options of each kind of engine."""
    schemas = {}
    for kind, engine_type in ENGINES.registered.items():
        schema = engine_type.Options.model_json_schema()
        schema["properties"]["kind"] = {"const": kind}
        schemas[kind] = schema
    return schemas
