"""The protocol of engines: requests, results, and the methods of a model that answers requests in batches.

Judges use engines only through this module, so a judge runs on any engine that can do what it needs. A request that
fails gets a `Failure` as its result; the other requests of its batch are answered as usual.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from curate.core.errors import CurateError
from curate.records import Message, Role, text_parts

Capability = Literal[
    "generate", "schema", "choose", "loglikelihood", "embed", "embed-tokens", "score", "images"
]
Chat = tuple[Message, ...]


def build_chat(*turns: tuple[Role, str]) -> Chat:
    """Build a chat of texts: `build_chat(("system", "Be brief."), ("user", "Hi"))`."""
    return tuple(Message(role=role, content=text_parts(text)) for role, text in turns)


@dataclass(frozen=True, slots=True)
class Delimiter:
    """The word between which texts of others stand in a prompt.

    Attributes:
        word: The word, which follows from the prompt and from a key that only this workspace has.
        public: The word that follows from the prompt alone. It stands for `word` wherever a prompt is identified or
            published, so that recordings do not depend on the key.
    """

    word: str
    public: str

    def publish(self, text: str) -> str:
        """Return the text with the public word."""
        return text.replace(self.word, self.public)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Settings to draw an answer. `temperature=0` takes the likeliest token each time; `n` answers are drawn."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 512
    seed: int = 0
    stop: tuple[str, ...] = ()
    n: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Generate:
    """A request to write the assistant's turn.

    Attributes:
        messages: The chat so far.
        sampling: Settings to draw the answer.
        choices: If given, the answer is one of these strings, drawn by their probabilities.
        json_schema: If given, the answer is a JSON document that matches this schema (JSON text). The engine needs the
            capability "schema". An answer that `max_tokens` cut off is not valid JSON; its `finish` is "length".
        prefill: Beginning of the answer; the model goes on after it.
        delimiter: The delimiter in the texts, if there is one.
    """

    messages: Chat
    sampling: Sampling = Sampling()
    choices: tuple[str, ...] | None = None
    json_schema: str | None = None
    prefill: str = ""
    delimiter: Delimiter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choose:
    """A request for the probability of each of `choices` as the assistant's next words, after `prefill`."""

    messages: Chat
    choices: tuple[str, ...]
    prefill: str = ""
    delimiter: Delimiter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """A request for the probability that the assistant goes on with `continuation`, after `prefill`.

    The end of the answer is not counted. Without messages the text is bare: there is no chat template, and `prefill`
    is the text before the continuation.
    """

    messages: Chat
    continuation: str
    prefill: str = ""
    delimiter: Delimiter | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A generated token with its log-probability (natural, at temperature 1)."""

    text: str
    log_prob: float


@dataclass(frozen=True, slots=True)
class Completion:
    """One drawn answer, without the prefill; `finish` is "length" where max_tokens cut it off."""

    text: str
    tokens: tuple[Token, ...]
    finish: Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Generation:
    """The completions of one request, and its tokens."""

    completions: tuple[Completion, ...]
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The log-probability (natural) of each choice, summed over its tokens; exact, from the logits."""

    log_probs: tuple[float, ...]
    tokens_in: int
    tokens_out: int

    @property
    def mass(self) -> float:
        """The probability of all choices together; a small one means that the model would say something else."""
        return float(np.exp(self.log_probs).sum())

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """The probabilities of the choices relative to each other, float64[choices]; they sum to 1."""
        shifted = np.exp(np.asarray(self.log_probs) - max(self.log_probs))
        return np.asarray(shifted / shifted.sum(), np.float64)


@dataclass(frozen=True, slots=True)
class LogLikelihood:
    """The log-probability (natural) of a continuation, summed over its `tokens` tokens."""

    log_prob: float
    tokens: int
    tokens_in: int


@dataclass(frozen=True, slots=True)
class Score:
    """A reward model's raw scalar (a logit, not squashed)."""

    value: float
    tokens_in: int


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why one request has no answer.

    Attributes:
        reason: The reason, for the user.
        raw: The text that came back in place of an answer, if any.
        permanent: The request would fail again (the chat is too long, say), so it should not be repeated.
    """

    reason: str
    raw: str | None = None
    permanent: bool = False


class Engine(Protocol):
    """A model that is opened when it is first asked something.

    `capabilities` and `revision` load no model. `revision` identifies everything that can change an answer (weights,
    precision, defaults) and nothing that only changes speed. Every method returns one result for each request, in
    their order. Derive from this class and override the methods of what the engine can do.
    """

    name: str

    @property
    def capabilities(self) -> frozenset[Capability]: ...

    @property
    def revision(self) -> str: ...

    def generate(self, requests: Sequence[Generate]) -> list[Generation | Failure]:
        raise make_capability_error(self, "generate")

    def choose(self, requests: Sequence[Choose]) -> list[Choice | Failure]:
        raise make_capability_error(self, "choose")

    def loglikelihood(self, requests: Sequence[Continuation]) -> list[LogLikelihood | Failure]:
        raise make_capability_error(self, "loglikelihood")

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors, float32[len(texts), d]. No text is cut: long ones are averaged over windows."""
        raise make_capability_error(self, "embed")

    def embed_tokens(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return for each text the unit vectors of its tokens in their context, float32[tokens, d]."""
        raise make_capability_error(self, "embed-tokens")

    def score(self, chats: Sequence[Chat], tools: Sequence[str | None] = ()) -> list[Score | Failure]:
        """Return a scalar reward of the end of each chat.

        Args:
            chats: B chats that end with what is scored.
            tools: JSON text of the tools that each chat may call, or None; empty: no chat has any.
        """
        raise make_capability_error(self, "score")

    @property
    def left_out(self) -> Counter[str]:
        """Count of messages of which the model's chat template left something out, by what it was."""
        return Counter()

    def price(self, tokens_in: int, tokens_out: int) -> float | None:
        """Return the cost of so many tokens, in the currency of `price_in` and `price_out`; None: not known."""
        return None

    @property
    def asks_in_batches(self) -> bool:
        """Tell whether requests wait for hours for each other, so that many should come at once."""
        return False

    def price_as_batch(self, tokens_in: int, tokens_out: int, *, batch: bool) -> float | None:
        """Return the cost of tokens through the provider's batch API or without it; None: there is no such API."""
        return None

    @property
    def is_remote(self) -> bool:
        """Tell whether another process or machine runs the model: waiting for it costs this one nothing."""
        return False

    def close(self) -> None:
        """Free the model; a later request opens it again. Requests of other threads that are on their way end."""
        return


_ABLE = {
    "generate": "generate text",
    "schema": "generate JSON that matches a schema",
    "choose": "give the probabilities of given answers",
    "loglikelihood": "give the log-likelihood of a text",
    "embed": "embed texts",
    "embed-tokens": "embed the tokens of texts",
    "score": "score a conversation as a reward model",
    "images": "read images",
}


def make_capability_error(engine: Engine, capability: Capability) -> CurateError:
    """Make the error for an engine that is asked for something that it cannot do."""
    able = ", ".join(sorted(_ABLE[known] for known in engine.capabilities)) or "do nothing"
    return CurateError(f"Engine {engine.name!r} cannot {_ABLE[capability]}: it can {able}.")


ResultT = TypeVar("ResultT")


def fill_slots(slots: Sequence[object | Failure], results: Sequence[ResultT]) -> list[ResultT | Failure]:
    """Put results in the places of the requests that had not failed beforehand.

    Args:
        slots: One item for each request: a Failure, or anything else where the request was sent.
        results: Results of the requests that were sent, in their order.
    """
    answers = iter(results)
    return [slot if isinstance(slot, Failure) else next(answers) for slot in slots]
