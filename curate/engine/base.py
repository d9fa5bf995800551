"""What an engine is: a model that generates, chooses, rates or embeds, asked in batches.

Judges speak to engines only through this module, so that a judge runs on any engine that can do what it needs.
A request that fails is answered by a `Failure` in its place; the others of its batch are not harmed by it.
"""

from __future__ import annotations

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
    """`chat(("system", "Be brief."), ("user", "Hi"))`."""
    return tuple(Message(role=role, content=text_parts(said)) for role, said in turns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to draw an answer. `temperature=0` takes the likeliest token each time; `n` answers are drawn."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 512
    seed: int = 0
    stop: tuple[str, ...] = ()
    n: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Generate:
    """Continue a chat with the assistant's turn, of which `prefill` is already said.

    `choices`: the answer must be one of these strings (drawn by their probabilities).
    `json_schema`: the answer must be a JSON document that matches this schema (JSON text), for which the engine needs
    the capability "schema". An answer that max_tokens cut off is not valid JSON; its `finish` says so.
    """

    messages: Chat
    sampling: Sampling = Sampling()
    choices: tuple[str, ...] | None = None
    json_schema: str | None = None
    prefill: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choose:
    """How probable is each of `choices` as what the assistant says next, after `prefill`?"""

    messages: Chat
    choices: tuple[str, ...]
    prefill: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """How probable is it that the assistant goes on with `continuation`, after `prefill`? (Its end is not counted.)

    Without messages it is bare text: no chat template, and `prefill` is what stands before the continuation.
    """

    messages: Chat
    continuation: str
    prefill: str = ""


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
    completions: tuple[Completion, ...]
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True, slots=True)
class Choice:
    """Log-probability (natural) of each choice, summed over its tokens; exact, from the logits."""

    log_probs: tuple[float, ...]
    tokens_in: int
    tokens_out: int

    @property
    def mass(self) -> float:
        """How much of all probability the choices hold together; little means: it would say something else."""
        return float(np.exp(self.log_probs).sum())

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Of the choices among themselves: they sum to 1."""
        shifted = np.exp(np.asarray(self.log_probs) - max(self.log_probs))
        return np.asarray(shifted / shifted.sum(), np.float64)


@dataclass(frozen=True, slots=True)
class LogLikelihood:
    """Of a continuation: total log-probability (natural), and over how many tokens."""

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
    """Why one request has no answer, and what came back instead, if anything did.

    `permanent`: asking again would fail again (the chat is too long, say), so nobody should.
    """

    reason: str
    raw: str | None = None
    permanent: bool = False


class Engine(Protocol):
    """A model behind an address, opened on first use.

    `capabilities` and `revision` are cheap: they load no model. `revision` identifies all that can change an
    answer (weights, precision, defaults) and nothing that only changes speed. Every method returns one result per
    request, in their order. Derive from this class and override what the engine can do.
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
        """Unit vectors, float32[len(texts), d]. No text is cut: long ones are averaged over windows."""
        raise make_capability_error(self, "embed")

    def embed_tokens(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Unit vectors of each text's tokens in their context, float32[tokens, d]; none for an empty text."""
        raise make_capability_error(self, "embed-tokens")

    def score(self, chats: Sequence[Chat]) -> list[Score | Failure]:
        """A scalar reward of the last turn of each chat."""
        raise make_capability_error(self, "score")

    def price(self, tokens_in: int, tokens_out: int) -> float | None:
        """What so many tokens cost, in the currency of the engine's `price_in` and `price_out`; None: not known."""
        return None

    def close(self) -> None:
        """Free the model; a later request opens it again."""
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
    """The error for an engine that is asked for what it cannot do."""
    able = ", ".join(sorted(_ABLE[known] for known in engine.capabilities)) or "do nothing"
    return CurateError(f"Engine {engine.name!r} cannot {_ABLE[capability]}: it can {able}.")


ResultT = TypeVar("ResultT")


def fill_slots(slots: Sequence[object | Failure], results: Sequence[ResultT]) -> list[ResultT | Failure]:
    """Put results back in the places of the requests that were not failures beforehand."""
    answers = iter(results)
    return [slot if isinstance(slot, Failure) else next(answers) for slot in slots]
