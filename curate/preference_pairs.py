"""Preference data sets as files: what `export` writes and TRL reads."""

from __future__ import annotations

import gzip
import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from curate.engine.embedding_reward import part_text
from curate.errors import CurateError
from curate.identity import content_id

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_LINES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_ASSISTANT = "\n\nAssistant:"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferencePairs:
    """Pairs of responses with the probability that the chosen one is better.

    | field                | type       | meaning |
    | ---                  | ---        | --- |
    | `prompt_ids`         | tuple[P]   | the rows' `prompt_id`, or a hash of the prompt where they have none |
    | `questions`          | tuple[P]   | the text of each prompt's last user turn |
    | `responses`          | tuple[R]   | distinct responses (per prompt) |
    | `prompt_of`          | int64[R]   | prompt of each response |
    | `chosen`, `rejected` | int64[n]   | response indexes |
    | `p_chosen`           | float64[n] | the rows' `confidence`, else 1 |
    | `weight`             | float64[n] | the rows' `weight`, else 1 |
    | `dropped`            | dict       | rows that are no usable pair: reason → number |
    """

    prompt_ids: tuple[str, ...]
    questions: tuple[str, ...]
    responses: tuple[str, ...]
    prompt_of: Int64
    chosen: Int64
    rejected: Int64
    p_chosen: Float64
    weight: Float64
    dropped: dict[str, int]

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def prompt(self) -> Int64:
        """int64[n]: prompt of each pair."""
        return self.prompt_of[self.chosen]

    @property
    def lengths(self) -> Int64:
        """int64[R]: characters of each response."""
        return np.array([len(response) for response in self.responses], np.int64)


def read_pairs(source: Path) -> PreferencePairs:
    """Read a file (.parquet, .jsonl, also .gz or .zst) or a folder of them; in a folder, its training part.

    Rows: `chosen` and `rejected`, each text or messages, and `prompt` likewise; without `prompt`, what chosen
    and rejected begin with in common (TRL's implicit prompt, the layout of HH-RLHF). Optional: `prompt_id`,
    `confidence` (probability that chosen is better), `weight`.
    """
    builder = _Builder()
    for file in data_files(source):
        for row in _rows(file):
            builder.add(row)
    return builder.build()


def data_files(source: Path) -> list[Path]:
    """The files that `read_pairs` reads: Parquet before JSONL, and `train…` before any other part."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise CurateError(
            f"There is no preference data at {source}: name an export folder, a JSONL or a Parquet file."
        )
    parquet = sorted(source.rglob("*.parquet"))
    found = parquet or sorted(file for end in _LINES for file in source.rglob(f"*{end}"))
    if not found:
        raise CurateError(f"The folder {source} holds no .parquet and no .jsonl file with preference pairs.")
    return [file for file in found if file.name.startswith("train")] or found


def data_digest(source: Path) -> str:
    """Identifies the rows of `source` by the bytes of its files, wherever they are."""
    digests = []
    for file in data_files(source):
        digest = blake2b(digest_size=16)
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        digests.append(digest.hexdigest())
    return content_id(sorted(digests))


class _Unusable(Exception):  # noqa: N818 (a verdict on a row, not an error)
    """Why a row is no pair."""


class _Builder:
    def __init__(self) -> None:
        self._prompts: dict[str, int] = {}
        self._questions: list[str] = []
        self._responses: dict[tuple[int, str], int] = {}
        self._pairs: list[tuple[int, int, float, float]] = []
        self._dropped: Counter[str] = Counter()

    def add(self, row: Any) -> None:
        try:
            self._add(row)
        except _Unusable as reason:
            self._dropped[str(reason)] += 1

    def _add(self, row: Any) -> None:
        if not isinstance(row, Mapping):
            raise _Unusable("no JSON object")
        context, chosen, rejected = _split(row)
        if chosen == rejected:
            raise _Unusable("chosen and rejected are equal")
        confidence = _number(row, "confidence", 1.0)
        weight = _number(row, "weight", 1.0)
        if confidence > 1.0:
            raise _Unusable("confidence is above 1")
        identity = row.get("prompt_id")
        prompt_id = identity if isinstance(identity, str) and identity else content_id(context)
        prompt = self._prompts.setdefault(prompt_id, len(self._prompts))
        if prompt == len(self._questions):
            self._questions.append(_question(context))
        a, b = (
            self._responses.setdefault((prompt, text), len(self._responses)) for text in (chosen, rejected)
        )
        self._pairs.append((a, b, confidence, weight))

    def build(self) -> PreferencePairs:
        table = np.array(self._pairs, np.float64).reshape(-1, 4)
        return PreferencePairs(
            prompt_ids=tuple(self._prompts),
            questions=tuple(self._questions),
            responses=tuple(text for _, text in self._responses),
            prompt_of=np.array([prompt for prompt, _ in self._responses], np.int64),
            chosen=table[:, 0].astype(np.int64),
            rejected=table[:, 1].astype(np.int64),
            p_chosen=table[:, 2],
            weight=table[:, 3],
            dropped=dict(self._dropped),
        )


Turns = list[tuple[str, str]]


def _split(row: Mapping[str, Any]) -> tuple[Turns, str, str]:
    """Context, chosen text, rejected text."""
    chosen, rejected = (_turns(row.get(name), name, "assistant") for name in ("chosen", "rejected"))
    if row.get("prompt") is not None:
        context = _turns(row["prompt"], "prompt", "user")
    elif isinstance(row["chosen"], str) and isinstance(row["rejected"], str):
        start = _common_text(row["chosen"], row["rejected"])
        context = [("user", row["chosen"][:start])] if start else []
        chosen, rejected = ([("assistant", row[name][start:].lstrip())] for name in ("chosen", "rejected"))
    else:
        context = []
    # Conversations may repeat the prompt; in any case what both begin with is context and not an answer.
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    if row.get("prompt") is None or context[-1:] != chosen[shared - 1 : shared]:
        context = context + chosen[:shared]
    if not context:
        raise _Unusable("no prompt")
    return context, _joined(chosen[shared:]), _joined(rejected[shared:])


def _turns(value: Any, name: str, role: str) -> Turns:
    if isinstance(value, str):
        return [(role, value)]
    if not isinstance(value, list) or not value:
        raise _Unusable(f"{name} is missing or no text")
    return [_turn(message, name) for message in value]


def _turn(message: Any, name: str) -> tuple[str, str]:
    match message:
        case {"role": str(role), "content": str(text)}:
            return role, text
        case {"role": str(role), "content": list(parts)} if all(isinstance(part, dict) for part in parts):
            return role, "\n".join(map(part_text, parts))
    raise _Unusable(f"{name} holds something that is no message")


def _joined(turns: Turns) -> str:
    return "\n\n".join(text for _, text in turns)


def _question(context: Turns) -> str:
    asked = [text for role, text in context if role == "user"] or [text for _, text in context]
    return asked[-1]


def _common_text(chosen: str, rejected: str) -> int:
    """Where the answers begin in two transcripts with the same context: after the last turn mark in common."""
    shared = next(
        (at for at, (one, other) in enumerate(zip(chosen, rejected, strict=False)) if one != other),
        min(len(chosen), len(rejected)),
    )
    mark = chosen.rfind(_ASSISTANT, 0, shared)
    if mark >= 0:
        return mark + len(_ASSISTANT)
    return chosen.rfind("\n", 0, shared) + 1


def _number(row: Mapping[str, Any], name: str, default: float) -> float:
    value = row.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise _Unusable(f"{name} is no number of at least 0")
    return float(value)


def _rows(file: Path) -> Iterator[Any]:
    try:
        yield from _parquet(file) if file.suffix == ".parquet" else _json_lines(file)
    except (
        OSError,
        ValueError,
        EOFError,
        zstandard.ZstdError,
    ) as error:  # pyarrow's and gzip's are among these
        raise CurateError(
            f"Cannot read {file} as preference data: {' '.join(str(error).split())}."
        ) from error


def _parquet(file: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        wanted = {"prompt", "chosen", "rejected", "prompt_id", "confidence", "weight"}
        columns = [name for name in opened.schema_arrow.names if name in wanted]
        for batch in opened.iter_batches(4096, columns=columns):
            yield from batch.to_pylist()


def _json_lines(file: Path) -> Iterator[Any]:
    decode = msgspec.json.Decoder().decode
    with _opened(file) as stream:
        for line in stream:
            if line.strip():
                try:
                    yield decode(line)
                except msgspec.DecodeError:
                    yield None


def _opened(file: Path) -> IO[bytes]:
    if file.suffix == ".gz":
        return io.BufferedReader(gzip.open(file, "rb"))
    if file.suffix == ".zst":
        return io.BufferedReader(zstandard.open(file, "rb"))
    return file.open("rb")
