"""Engines by name: what `engines:` in curate.yaml declares, opened once and shared by all judges."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field

from curate.config.images import ImageAccess
from curate.config.project import Config
from curate.config.validation import validate_options
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.registry import Registry
from curate.core.section import Section
from curate.engine.base import Capability, Chat, Engine, make_capability_error


class EngineOptions(Section):
    """What every engine's options have; each kind adds its own."""

    kind: str
    price_in: float | None = Field(None, ge=0, description="Cost of a million tokens read, in your currency.")
    price_out: float | None = Field(None, ge=0, description="Cost of a million tokens written.")


class ConfiguredEngine(Engine):
    """An engine that curate.yaml can declare: made from options, cheaply; the model is opened on first use."""

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
        """Counts the tokens of a chat and what is already said of the answer, without the model's weights.

        None where there is no tokenizer at hand.
        """
        return None


ENGINES: Registry[ConfiguredEngine] = Registry("engine", ConfiguredEngine)  # type: ignore[type-abstract]


def engine(kind: str) -> Callable[[type[ConfiguredEngine]], type[ConfiguredEngine]]:
    """Class decorator that makes an engine known as `kind`."""
    return ENGINES.register(kind)


class Engines:
    """The engines of a workspace. Two declarations with equal options are one engine, with one copy of its model."""

    def __init__(
        self, declared: Mapping[str, Mapping[str, Any]], folder: Path, *, images: ImageAccess | None = None
    ) -> None:
        self.folder = folder
        self.images = images or ImageAccess(folder)
        self._declared = declared
        self._made: dict[str, ConfiguredEngine] = {}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(config.engines, config.resolve("."), images=config.image_access())

    def get(self, name: str, *, where: str = "engine", needs: Capability | None = None) -> Engine:
        """The engine declared as `name`; an error if there is none, or if it lacks the capability `needs`."""
        if name not in self._declared:
            close = difflib.get_close_matches(name, self._declared, n=1)
            hint = (
                f"did you mean `{close[0]}`?"
                if close
                else f"declared are: {', '.join(self._declared) or 'none'}."
            )
            raise CurateError(f"`{where}` is {name!r}, but `engines` declares no such engine: {hint}")
        return self.make(name, self._declared[name], where=f"engines.{name}", needs=needs)

    def make(
        self, name: str, options: Mapping[str, Any], *, where: str, needs: Capability | None = None
    ) -> Engine:
        """An engine from options given in place."""
        found = ENGINES.find(options.get("kind"), where=f"{where}.kind", folder=self.folder)
        checked = validate_options(found.type.Options, options, where=where)
        key = content_id(checked.model_dump(mode="json"))
        if key not in self._made:
            self._made[key] = found.type(name, checked, self)
        opened = self._made[key]
        if needs is not None and needs not in opened.capabilities:
            raise make_capability_error(opened, needs)
        return opened

    def record_use(self, used: list[Engine]) -> Engines:
        """The same engines; those that are asked for are noted in `used`."""
        return _RecordingEngines(self, used)

    def check_all(self) -> None:
        """Make every declared engine, so that mistakes in curate.yaml show before any work."""
        for name in self._declared:
            _ = self.get(name).capabilities

    def close(self) -> None:
        for opened in self._made.values():
            opened.close()
        self._made.clear()


class _RecordingEngines(Engines):
    def __init__(self, engines: Engines, used: list[Engine]) -> None:
        super().__init__(engines._declared, engines.folder, images=engines.images)
        self._engines, self._used = engines, used

    def make(
        self, name: str, options: Mapping[str, Any], *, where: str, needs: Capability | None = None
    ) -> Engine:
        made = self._engines.make(name, options, where=where, needs=needs)
        if made not in self._used:
            self._used.append(made)
        return made


def build_engine_schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema of the options of each kind of engine."""
    schemas = {}
    for kind, found in ENGINES.registered.items():
        schema = found.Options.model_json_schema()
        schema["properties"]["kind"] = {"const": kind}
        schemas[kind] = schema
    return schemas
