"""Requests of extraction to a model: each a row of `rubric_calls`, answered or failed; an answer is paid for once.

An answer has to be what was asked for: JSON is held against its schema, whatever the engine promises. What is not is a
failure with its text, which the run counts by reason; the next run asks it again.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import jsonschema
import pyarrow as pa

from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.json_text import list_texts
from curate.core.progress import Advance
from curate.engine.base import Choice, Choose, Engine, Failure, Generate, Generation, Sampling
from curate.engine.delimiter import draw_delimiter
from curate.engine.json_answer import parse_json_object
from curate.engine.registry import Engines
from curate.engine.replay import hash_request
from curate.engine.template import ChatTemplate
from curate.lake.runs import StageRun
from curate.records import RubricCall, arrow_schema

_TEMPLATES = "rubric/templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request.

    Attributes:
        step: Step of a method, and the name of its template.
        values: Values of the template.
        prompt_ids: The prompts that it is about.
        schema: JSON Schema of the answer; None: the answer is a text, or one of `choices`.
        choices: Answers of which the probabilities are wanted.
    """

    step: str
    values: Mapping[str, object]
    prompt_ids: tuple[str, ...]
    schema: Mapping[str, Any] | None = None
    choices: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Caller:
    """Sends calls to an engine, in chunks that are committed.

    Attributes:
        run: The run that the rows belong to.
        engines: The engines of the workspace.
        engine: The engine that is asked.
        rubric: Name of the rubric.
        max_tokens: Longest answer.
        chunk: Calls of a chunk.
        steps: Calls by step and what became of them: answered, known (from an earlier run) or failed.
        advance: Is told of every call.
    """

    run: StageRun
    engines: Engines
    engine: Engine
    rubric: str
    max_tokens: int
    chunk: int
    advance: Advance
    steps: dict[str, Counter[str]] = field(default_factory=dict)
    _chunks: int = 0

    @property
    def gives_probabilities(self) -> bool:
        return "choose" in self.engine.capabilities

    def ask(self, calls: Sequence[Call]) -> list[Any]:
        """Return an answer for each call: an object (by schema), a text, P of each choice, or a Failure."""
        answers: list[Any] = []
        for start in range(0, len(calls), self.chunk):
            answers += self._ask_chunk(calls[start : start + self.chunk])
        return answers

    def _ask_chunk(self, calls: Sequence[Call]) -> list[Any]:
        requests = [self._build_request(call) for call in calls]
        ids = [self._identify(request) for request in requests]
        known = self._read_known(ids)
        new = {identity: number for number, identity in enumerate(ids) if identity not in known}
        began = time.monotonic()
        results = dict(zip(new, self._send([requests[number] for number in new.values()]), strict=True))
        seconds = (time.monotonic() - began) / max(1, len(new))
        answers = {
            identity: _read_answer(calls[number], results[identity], self.max_tokens)
            for identity, number in new.items()
        }
        self._commit(calls, ids, new, results, answers, seconds)
        texts = {identity: _read_text(calls[ids.index(identity)], text) for identity, text in known.items()}
        for call, identity in zip(calls, ids, strict=True):
            answer = answers.get(identity)
            state = "known" if identity in known else "failed" if isinstance(answer, Failure) else "answered"
            self.steps.setdefault(call.step, Counter())[state] += 1
        self.advance(len(calls))
        return [texts[identity] if identity in texts else answers[identity] for identity in ids]

    # Requests --------------------------------------------------------------------------------------------

    def _build_request(self, call: Call) -> Generate | Choose:
        name = f"{call.step}-v1"
        template = ChatTemplate.load(name, folder=self.engines.folder, where=name, shipped_in=_TEMPLATES)
        subject = content_id(*call.prompt_ids)
        delimiter = draw_delimiter(self.engines, subject, list_texts(call.values))
        messages, prefill = template.render(marker=delimiter.word, **call.values)
        if call.choices and self.gives_probabilities:
            return Choose(messages=messages, choices=call.choices, prefill=prefill, delimiter=delimiter)
        return Generate(
            messages=messages,
            prefill=prefill,
            delimiter=delimiter,
            sampling=Sampling(max_tokens=self.max_tokens),
            choices=call.choices or None,
            json_schema=None if call.schema is None or not self._follows_schema else json.dumps(call.schema),
        )

    @property
    def _follows_schema(self) -> bool:
        return "schema" in self.engine.capabilities

    def _identify(self, request: Generate | Choose) -> str:
        method: Literal["choose", "generate"] = "choose" if isinstance(request, Choose) else "generate"
        return content_id("rubric-call", self.engine.revision, hash_request(method, request))

    def _send(self, requests: Sequence[Generate | Choose]) -> list[Generation | Choice | Failure]:
        if not requests:
            return []
        results: dict[int, Generation | Choice | Failure] = {}
        asked = [(place, one) for place, one in enumerate(requests) if isinstance(one, Choose)]
        generated = [(place, one) for place, one in enumerate(requests) if isinstance(one, Generate)]
        if asked:
            choices = self.engine.choose([one for _, one in asked])
            results |= dict(zip([place for place, _ in asked], choices, strict=True))
        if generated:
            texts = self.engine.generate([one for _, one in generated])
            results |= dict(zip([place for place, _ in generated], texts, strict=True))
        return [results[place] for place in range(len(requests))]

    # Rows ------------------------------------------------------------------------------------------------

    def _read_known(self, ids: Sequence[str]) -> dict[str, str]:
        wanted = pa.table({"call_id": pa.array(sorted(set(ids)), pa.string())})
        with self.run.lake.bind("wanted", wanted):
            return dict(
                self.run.lake.rows(
                    "SELECT call_id, raw FROM lake.rubric_calls SEMI JOIN wanted USING (call_id) "
                    "WHERE outcome = 'answered'"
                )
            )

    def _commit(
        self,
        calls: Sequence[Call],
        ids: Sequence[str],
        new: Mapping[str, int],
        results: Mapping[str, Generation | Choice | Failure],
        answers: Mapping[str, Any],
        seconds: float,
    ) -> None:
        rows, dropped = [], Counter[str]()
        for identity, number in new.items():
            call, result, answer = calls[number], results[identity], answers[identity]
            failure = answer if isinstance(answer, Failure) else None
            tokens = (0, 0) if isinstance(result, Failure) else (result.tokens_in, result.tokens_out)
            if failure is not None:
                dropped[failure.reason.partition("\n")[0].partition(":")[0]] += 1
            rows.append(
                RubricCall(
                    call_id=identity if failure is None else content_id(identity, self.run.run_id),
                    rubric=self.rubric,
                    step=call.step,
                    prompt_ids=call.prompt_ids,
                    outcome="answered" if failure is None else "failed",
                    reason=None if failure is None else failure.reason,
                    raw=_dump_result(result) if failure is None else failure.raw,
                    revision=self.engine.revision,
                    tokens_in=tokens[0],
                    tokens_out=tokens[1],
                    seconds=seconds,
                    run_id=self.run.run_id,
                ).model_dump()
            )
        table = pa.Table.from_pylist(rows, schema=arrow_schema(RubricCall))
        steps = ", ".join(sorted({call.step for call in calls}))
        with self.run.chunk(self.rubric, fingerprint=content_id(ids), index=self._chunks) as (writer, counts):
            counts.rows_in = len(calls)
            writer.append("rubric_calls", table, unique="call_id")
            counts.dropped = dict(dropped)
            counts.rows_kept = len(new) - counts.rows_dropped
            counts.rows_duplicate = len(calls) - len(new)
            counts.tokens_in = sum(row["tokens_in"] for row in rows)
            counts.tokens_out = sum(row["tokens_out"] for row in rows)
            counts.cost = self.engine.price(counts.tokens_in, counts.tokens_out) or 0.0
            counts.details = {"step": steps}
        self._chunks += 1


def open_caller(engines: Engines, name: str | None, *, where: str, **rest: Any) -> Caller:
    """Make the caller of an engine that can write.

    Args:
        engines: The engines of the workspace.
        name: Name of the engine.
        where: Key of curate.yaml that names it.
        rest: The other fields of the caller.

    Raises:
        CurateError: No engine is named, or it cannot write.
    """
    if name is None:
        raise CurateError(f"`{where}` is missing: name an engine of `engines` that reads the pairs.")
    return Caller(engines=engines, engine=engines.get(name, where=where, needs="generate"), **rest)


# Answers --------------------------------------------------------------------------------------------------


def _read_answer(call: Call, result: Generation | Choice | Failure, max_tokens: int) -> Any:
    if isinstance(result, Failure):
        return result
    answer = _read_text(call, _dump_result(result))
    is_cut = isinstance(result, Generation) and result.completions[0].finish == "length"
    if isinstance(answer, Failure) and is_cut:
        return Failure(f"cut off: the answer is longer than {max_tokens} tokens", answer.raw)
    return answer


def _dump_result(result: Generation | Choice | Failure) -> str:
    if isinstance(result, Choice):
        return json.dumps([round(float(p), 6) for p in result.probabilities])
    assert isinstance(result, Generation)
    return result.completions[0].text


def _read_text(call: Call, text: str) -> Any:
    """Read what the engine wrote, or what the lake kept of it."""
    if call.choices:
        return _read_choices(call.choices, text)
    if call.schema is None:
        return text.strip() or Failure("an empty answer", text)
    value = parse_json_object(text)
    if isinstance(value, Failure):
        return value
    error = next(iter(jsonschema.Draft202012Validator(call.schema).iter_errors(value)), None)
    if error is not None:
        return Failure(f"other JSON than asked for: {error.message[:200]}", text)
    return value


def _read_choices(choices: Sequence[str], text: str) -> list[float] | Failure:
    if text.startswith("["):
        probabilities: list[float] = json.loads(text)
        return probabilities
    answer = text.strip()
    if answer not in choices:
        return Failure(f"none of {', '.join(choices)}", text)
    return [float(choice == answer) for choice in choices]
