"""Recorded answers in place of a model: to reproduce a run offline, or to share one without its model.

    engines:
      judge:    {kind: replay, path: answers.jsonl, source: smol}   # asks `smol` what is not in the file, and adds it
      offline:  {kind: replay, path: answers.jsonl}                 # answers from the file alone

One JSON object a line: `{"method": "choose", "request": id, "answer": {...}}`, where the id is the content hash of the
request (`hash_request`) and the answer has the fields of the result type in base.py. Failures are not recorded. What
is not recorded and cannot be asked is a `Failure`. One process at a time may add to a file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.engine.base import (
    Capability,
    Chat,
    Choice,
    Choose,
    Continuation,
    Delimiter,
    Engine,
    Failure,
    Generate,
    Generation,
    LogLikelihood,
    Score,
)
from curate.engine.registry import ConfiguredEngine, EngineOptions, Engines, engine

RequestT = TypeVar("RequestT")
ResultT = TypeVar("ResultT")
_LINE = b'{"method":'  # how every line of a recording begins
_MISSING = Failure("this request is not in the recording", permanent=True)


class RecordedAnswer(msgspec.Struct, forbid_unknown_fields=True):
    """A line of a recording."""

    method: Capability
    request: str
    answer: msgspec.Raw


class ReplayOptions(EngineOptions):
    """Recorded answers."""

    kind: str = "replay"
    path: str = Field(description="JSONL file of recorded answers.")
    source: str | None = Field(None, description="Engine to ask what is not recorded; its answers are added.")
    images: bool = Field(
        False,
        description="Without a source: the recorded requests may hold images, so judges ask about them.",
    )


@engine("replay")
class ReplayEngine(ConfiguredEngine):
    """An engine that repeats recorded answers.

    With a source its revision is that of the source; without one it is a hash of the file.
    """

    Options = ReplayOptions
    options: ReplayOptions

    def __init__(self, name: str, options: ReplayOptions, engines: Engines) -> None:
        super().__init__(name, options, engines)
        self._path = engines.folder / options.path
        self._source = engines.get(options.source, where=f"engines.{name}.source") if options.source else None
        if self._source is None and not self._path.is_file():
            raise CurateError(
                f"Engine {name!r} replays {self._path}, but there is no such file: add a `source`."
            )

    @property
    def capabilities(self) -> frozenset[Capability]:
        if self._source is not None:
            return self._source.capabilities
        methods: set[Capability] = {method for method, _ in self._recorded_answers}
        methods |= {"schema"} if "generate" in methods else set()
        return frozenset(methods | {"images"} if self.options.images else methods)

    @property
    def revision(self) -> str:
        if self._source is not None:
            return self._source.revision
        return blake2b(self._path.read_bytes(), digest_size=16).hexdigest()

    def generate(self, requests: Sequence[Generate]) -> list[Generation | Failure]:
        return self._replay_answers(
            "generate", requests, Generation, lambda source, left: source.generate(left)
        )

    def choose(self, requests: Sequence[Choose]) -> list[Choice | Failure]:
        return self._replay_answers("choose", requests, Choice, lambda source, left: source.choose(left))

    def loglikelihood(self, requests: Sequence[Continuation]) -> list[LogLikelihood | Failure]:
        return self._replay_answers(
            "loglikelihood", requests, LogLikelihood, lambda source, left: source.loglikelihood(left)
        )

    def score(self, chats: Sequence[Chat], tools: Sequence[str | None] = ()) -> list[Score | Failure]:
        if not any(tools):
            return self._replay_answers("score", chats, Score, lambda source, left: source.score(left))
        return self._replay_answers(
            "score",
            list(zip(chats, tools, strict=True)),
            Score,
            lambda source, left: source.score([chat for chat, _ in left], [listed for _, listed in left]),
        )

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        def ask_source(source: Engine, left: Sequence[str]) -> list[list[float] | Failure]:
            return [vector.tolist() for vector in source.embed(left)]

        vectors = self._replay_answers("embed", texts, list[float], ask_source)
        if any(isinstance(vector, Failure) for vector in vectors):
            raise CurateError(f"Engine {self.name!r}: some texts are not in the recording {self._path}.")
        return np.asarray(vectors, np.float32)

    def _replay_answers(
        self,
        method: Capability,
        requests: Sequence[RequestT],
        result: type[ResultT],
        ask: Callable[[Engine, Sequence[RequestT]], list[ResultT | Failure]],
    ) -> list[ResultT | Failure]:
        """Return recorded answers; those that are missing come from the source, if there is one.

        Args:
            method: The engine's method.
            requests: Its requests.
            result: Type of an answer.
            ask: Calls the method of the source.
        """
        keys: list[tuple[Capability, str]] = [(method, hash_request(method, request)) for request in requests]
        missing = {
            key: request
            for key, request in zip(keys, requests, strict=True)
            if key not in self._recorded_answers
        }
        if missing and self._source is not None:
            fresh = dict(zip(missing, ask(self._source, list(missing.values())), strict=True))
            self._record_answers(
                {key: answer for key, answer in fresh.items() if not isinstance(answer, Failure)}, result
            )
        else:
            fresh = dict.fromkeys(missing, _MISSING)
        return [
            _decode_answer(self._recorded_answers[key], result)
            if key in self._recorded_answers
            else fresh[key]
            for key in keys
        ]

    @cached_property
    def _recorded_answers(self) -> dict[tuple[Capability, str], bytes]:
        """Recorded answers, as JSON, by method and request id."""
        if not self._path.is_file():
            return {}
        lines = self._path.read_bytes().split(b"\n")
        answers: dict[tuple[Capability, str], bytes] = {}
        for number, text in enumerate(lines, 1):
            if not text.strip():
                continue
            try:
                line = msgspec.json.decode(text, type=RecordedAnswer)
            except msgspec.DecodeError as error:
                if number == len(lines):
                    continue  # a process was killed while it wrote this one
                raise CurateError(f"{self._path}, line {number}: {error}.") from error
            answers[line.method, line.request] = bytes(line.answer)
        return answers

    def _record_answers(self, fresh: dict[tuple[Capability, str], Any], result: type) -> None:
        """Add answers to the file, without those that JSON cannot hold: NaN and infinity are no answers."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        texts = {key: msgspec.json.encode(answer) for key, answer in fresh.items()}
        texts = {
            key: text for key, text in texts.items() if not isinstance(_decode_answer(text, result), Failure)
        }
        _repair_last_line(self._path)
        with self._path.open("ab") as file:
            for (method, request), text in texts.items():
                file.write(msgspec.json.encode(RecordedAnswer(method, request, msgspec.Raw(text))) + b"\n")
        self._recorded_answers.update(texts)


def _decode_answer(text: bytes, result: type[ResultT]) -> ResultT | Failure:
    try:
        return msgspec.json.decode(text, type=result)
    except msgspec.DecodeError as error:
        return Failure(f"the recording holds no such answer: {error}", text.decode("utf-8", "replace"))


def hash_request(method: Capability, request: object) -> str:
    """Return the id of a request: the content hash of its method and fields, with the public delimiter."""
    fields = msgspec.to_builtins(request, enc_hook=_dump_message)
    if isinstance(fields, dict):
        fields.pop("delimiter", None)
    delimiter = getattr(request, "delimiter", None)
    if delimiter is not None:
        fields = _publish_texts(fields, delimiter)
    if isinstance(fields, dict) and fields.get("json_schema", "") is None:
        del fields["json_schema"]  # recordings are older than this field
    return content_id(method, fields)


def _publish_texts(value: Any, delimiter: Delimiter) -> Any:
    if isinstance(value, str):
        return delimiter.publish(value)
    if isinstance(value, dict):
        return {key: _publish_texts(part, delimiter) for key, part in value.items()}
    return [_publish_texts(part, delimiter) for part in value] if isinstance(value, (list, tuple)) else value


def _dump_message(message: Any) -> dict[str, Any]:
    """Return the fields of a message; recordings are older than those that are left out where they are not set."""
    fields: dict[str, Any] = message.model_dump()
    content = [
        {name: value for name, value in part.items() if name != "mime_type" or value is not None}
        for part in fields["content"]
    ]
    return {
        "role": fields["role"],
        "content": content,
        **{name: value for name, value in fields.items() if name not in ("role", "content") and value},
    }


def _repair_last_line(path: Path) -> None:
    """Drop a last line that was left half-written, and end one that lacks its newline."""
    if not path.is_file():
        return
    content = path.read_bytes()
    whole, newline, tail = content.rpartition(b"\n")
    if not tail:
        return
    try:
        msgspec.json.decode(tail, type=RecordedAnswer)
    except msgspec.DecodeError:
        if not (tail.startswith(_LINE) or _LINE.startswith(tail)):
            raise CurateError(
                f"{path} ends in a line that is no recorded answer, so it is left alone: name another file."
            ) from None
        path.write_bytes(whole + newline)
    else:
        path.write_bytes(content + b"\n")
