"""Bodies of requests in the shapes of vLLM, with all fields that its clients require of an answer.

| path                            | request | answer |
| ---                             | --- | --- |
| `/classify`                     | {model, input: a rendered chat, token ids, or several}, or {model, messages} | {data: [{index, label, probs: [score], num_classes}], usage} |
| `/pooling`                      | as `/classify` | {data: [{index, object, data: [score]}], usage} |
| `/v1/embeddings`                | as `/classify`; verl asks a reward model behind SGLang so | {data: [{index, object, embedding: [score]}], usage} |
| `/score` with pairs             | {queries, documents}, also {text_1, text_2}, {data_1, data_2}, {queries, items} | {data: [{index, object, score}], usage} |
| `/rerank`                       | {query, documents, top_n} | {results: [{index, document, relevance_score}], usage} |

Scores are raw. vLLM puts one output through a sigmoid unless `use_activation` is false; here only where it is true. In
pairs, the query is what the user says, and the document what the assistant answers.
"""  # noqa: E501 (a table)

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, model_validator

from curate.data.conversation import Conversation, UnreadableMessageError, read_messages
from curate.records import Role
from curate.reward.scorer import PromptResponses
from curate.serve.protocol import Answered, Chat, RequestBody, Tools
from curate.serve.transcript import ChatReader

_NO_TOKENS = ChatReader()
_LABEL = "LABEL_0"  # what Transformers calls the only output of a model


class _VllmRequest(RequestBody):
    use_activation: bool | None = Field(
        default=None, validation_alias=AliasChoices("use_activation", "activation")
    )

    def activate(self, scores: Sequence[float]) -> list[float]:
        """Return scores as the client wants them: raw, or through a sigmoid."""
        return [_sigmoid(score) for score in scores] if self.use_activation else list(scores)

    def build_head(self, answered: Answered, prefix: str) -> dict[str, Any]:
        """Build the fields that every answer of vLLM begins with."""
        usage = {
            "prompt_tokens": answered.n_tokens,
            "total_tokens": answered.n_tokens,
            "completion_tokens": 0,
        }
        identity = {"id": f"{prefix}-{uuid.uuid4().hex}", "object": "list", "created": int(time.time())}
        return {**identity, "model": answered.model, "usage": usage}


class ClassifyRequest(_VllmRequest):
    """Rendered chats or token ids, or one chat as `messages` that ends with the assistant's turn."""

    input: str | list[int] | list[str] | list[list[int]] | None = None
    messages: Chat | None = None
    tools: Tools = None

    @model_validator(mode="after")
    def _check_chat(self) -> Self:
        if (self.input is None) == (not self.messages):
            raise ValueError(
                "give either `input` (a rendered chat, or several) or `messages` ([{role, content}])"
            )
        if self.messages and (len(self.messages) < 2 or self.messages[-1].role != "assistant"):
            raise ValueError("`messages` has to end with the assistant's turn, which is what is scored")
        return self

    def list_prompts(self, reader: ChatReader = _NO_TOKENS) -> list[PromptResponses]:
        if self.messages:
            return [PromptResponses(self.messages[:-1], (self.messages[-1:],), tools=self.tools)]
        given: Any = self.input if self.input is not None else []
        chats = [given] if isinstance(given, str) or (given and isinstance(given[0], int)) else given
        return [reader.read(chat) if isinstance(chat, str) else reader.read_ids(chat) for chat in chats]

    def build_answer(self, scores: Sequence[float], answered: Answered) -> dict[str, Any]:
        data = [
            {"index": number, "label": _LABEL, "probs": [score], "num_classes": 1}
            for number, score in enumerate(self.activate(scores))
        ]
        return self.build_head(answered, "classify") | {"data": data}


class PoolingRequest(ClassifyRequest):
    """The score as the only value that a model pools a chat into."""

    def build_answer(self, scores: Sequence[float], answered: Answered) -> dict[str, Any]:
        data = [
            {"index": number, "object": "pooling", "data": [score]}
            for number, score in enumerate(self.activate(scores))
        ]
        return self.build_head(answered, "pool") | {"data": data}


class EmbeddingsRequest(ClassifyRequest):
    """The score in the place of an embedding."""

    def build_answer(self, scores: Sequence[float], answered: Answered) -> dict[str, Any]:
        data = [
            {"index": number, "object": "embedding", "embedding": [score]}
            for number, score in enumerate(self.activate(scores))
        ]
        return self.build_head(answered, "embd") | {"data": data}


class _Content(BaseModel):
    """A query or document that holds images: the parts of a message."""

    content: list[dict[str, Any]]


class _Document(BaseModel):
    text: str


Text = str | _Content
Texts = Annotated[list[Text], BeforeValidator(lambda value: value if isinstance(value, list) else [value])]


class PairsRequest(_VllmRequest):
    """One query with all documents, or as many queries as documents; each a text, or parts under `content`."""

    queries: Texts = Field(validation_alias=AliasChoices("queries", "text_1", "data_1"))
    documents: Texts = Field(validation_alias=AliasChoices("documents", "items", "text_2", "data_2"))

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if not self.documents or len(self.queries) not in (1, len(self.documents)):
            raise ValueError(
                f"{len(self.queries)} queries and {len(self.documents)} documents: give one, or one for each document"
            )
        return self

    def list_prompts(self, reader: ChatReader = _NO_TOKENS) -> list[PromptResponses]:
        if len(self.queries) == 1:
            return [_build_pairs(self.queries[0], self.documents)]
        return [
            _build_pairs(query, [document])
            for query, document in zip(self.queries, self.documents, strict=True)
        ]

    def build_answer(self, scores: Sequence[float], answered: Answered) -> dict[str, Any]:
        data = [
            {"index": number, "object": "score", "score": score}
            for number, score in enumerate(self.activate(scores))
        ]
        return self.build_head(answered, "score") | {"data": data}


class RerankRequest(_VllmRequest):
    """Documents for one query, best first."""

    query: Text
    documents: list[Text | _Document] = Field(min_length=1)
    top_n: int | None = Field(default=None, ge=0)

    def list_prompts(self, reader: ChatReader = _NO_TOKENS) -> list[PromptResponses]:
        documents = [item.text if isinstance(item, _Document) else item for item in self.documents]
        return [_build_pairs(self.query, documents)]

    def build_answer(self, scores: Sequence[float], answered: Answered) -> dict[str, Any]:
        values = self.activate(scores)
        order = sorted(range(len(values)), key=lambda place: -values[place])[: self.top_n or None]
        head = self.build_head(answered, "rerank")
        results = [
            {
                "index": place,
                "document": _repeat_document(self.documents[place]),
                "relevance_score": values[place],
            }
            for place in order
        ]
        return {"id": head["id"], "model": head["model"], "usage": head["usage"], "results": results}


def _build_pairs(query: Text, documents: Sequence[Text]) -> PromptResponses:
    answers = tuple(_read_text(document, "assistant") for document in documents)
    return PromptResponses(_read_text(query, "user"), answers)


def _read_text(value: Text, role: Role) -> Conversation:
    content = value if isinstance(value, str) else value.content
    try:
        return read_messages([{"role": role, "content": content}], "content")
    except UnreadableMessageError as error:
        raise ValueError(error.reason) from None


def _repeat_document(document: Text | _Document) -> dict[str, Any]:
    """Return a document as vLLM's answers repeat it."""
    if isinstance(document, _Content):
        return {"multi_modal": document.content}
    return {"text": document if isinstance(document, str) else document.text}


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))
