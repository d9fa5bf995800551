"""Labelled pairs as rubrics learn from them: texts, and which response is better."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.config.project import load_config
from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.core.resources import read_query
from curate.data.conversation import Conversation, get_spoken_text, load_messages
from curate.data.preference_pairs import PreferencePairs, get_question, read_pairs
from curate.lake.lake import Lake

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPairs:
    """Pairs of responses, and the probability that the first one of each is better.

    | field                | type       | meaning |
    | ---                  | ---        | --- |
    | `prompt_ids`         | tuple[P]   | ids |
    | `prompts`            | tuple[P]   | the text of each prompt's last turn of the user |
    | `references`         | tuple[P]   | the right answer of each prompt, or None |
    | `response_ids`       | tuple[R]   | ids of the lake, or hashes of prompt and text |
    | `responses`          | tuple[R]   | what the assistant says |
    | `prompt_of`          | int64[R]   | prompt of each response |
    | `chosen`, `rejected` | int64[n]   | response indexes |
    | `p_chosen`           | float64[n] | probability that the chosen one is better; ½: a tie |
    | `weight`             | float64[n] | what the pair counts |
    | `dropped`            | dict       | rows that are no usable pair: reason → number |
    | `contexts`           | tuple[P]   | the conversation of each prompt; (): its text alone is known |
    | `conversations`      | tuple[R]   | the messages of each response; (): its text alone is known |
    | `tools`              | tuple[P]   | JSON text of the tools of each prompt, or None; (): there are none |
    """

    prompt_ids: tuple[str, ...]
    prompts: tuple[str, ...]
    references: tuple[str | None, ...]
    response_ids: tuple[str, ...]
    responses: tuple[str, ...]
    prompt_of: Int64
    chosen: Int64
    rejected: Int64
    p_chosen: Float64
    weight: Float64
    dropped: dict[str, int]
    contexts: tuple[Conversation, ...] = ()
    conversations: tuple[Conversation, ...] = ()
    tools: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def prompt(self) -> Int64:
        """int64[n]: prompt of each pair."""
        return self.prompt_of[self.chosen]

    @property
    def lengths(self) -> Float64:
        """float64[R]: ln(1 + words) of each response."""
        return np.log1p([float(len(text.split())) for text in self.responses])


def read_labelled_pairs(source: Path, *, people: bool = False) -> LabelledPairs:
    """Read the labelled pairs of a file, a folder of files, or a project.

    Args:
        source: Preference data (JSON lines or Parquet), a curate.yaml, or a folder with either.
        people: Of a project, only the labels that people gave.

    Raises:
        CurateError: There are no labelled pairs.
    """
    config = source / "curate.yaml" if source.is_dir() else source
    if config.suffix in (".yaml", ".yml") and config.is_file():
        settings = load_config(config)
        with Lake.open(settings.location, read_only=True) as lake:
            pairs = read_labels(lake, people=people)
        if not len(pairs):
            whose = "from people" if people else "that are decided"
            raise CurateError(f"{config} has no labels {whose} yet: run `curate aggregate`.")
        return pairs
    if people:
        raise CurateError(f"Only a project says which labels people gave, and {source} is none.")
    pairs = convert_pairs(read_pairs(source))
    if not len(pairs):
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in pairs.dropped.items())
        raise CurateError(f"{source} has no preference pairs{f' ({reasons})' if reasons else ''}.")
    return pairs


def draw_pairs(pairs: LabelledPairs, most: int, *, seed: int = 0) -> LabelledPairs:
    """Return at most `most` pairs: all pairs of some prompts, drawn at random; responses stay as they are."""
    if len(pairs) <= most:
        return pairs
    place = np.random.default_rng(seed).permutation(len(pairs.prompt_ids))[pairs.prompt]
    order = np.argsort(place, kind="stable")[: most + 1]
    kept = (
        np.sort(order[place[order] < place[order[-1]]])
        if len(set(place[order])) > 1
        else np.sort(order[:most])
    )
    return take_pairs(pairs, kept)


def take_pairs(pairs: LabelledPairs, rows: NDArray[np.bool_] | Int64) -> LabelledPairs:
    """Return some of the pairs; the responses stay, so that their indexes do."""
    return replace(
        pairs,
        chosen=pairs.chosen[rows],
        rejected=pairs.rejected[rows],
        p_chosen=pairs.p_chosen[rows],
        weight=pairs.weight[rows],
    )


def convert_pairs(pairs: PreferencePairs) -> LabelledPairs:
    """Return preference data as labelled pairs."""
    texts = tuple(map(get_spoken_text, pairs.responses))
    return LabelledPairs(
        prompt_ids=pairs.prompt_ids,
        prompts=pairs.questions,
        references=pairs.references or (None,) * len(pairs.prompt_ids),
        response_ids=tuple(
            content_id(pairs.prompt_ids[prompt], text)
            for prompt, text in zip(pairs.prompt_of, texts, strict=True)
        ),
        responses=texts,
        prompt_of=pairs.prompt_of,
        chosen=pairs.chosen,
        rejected=pairs.rejected,
        p_chosen=pairs.p_chosen,
        weight=pairs.weight,
        dropped=pairs.dropped,
        contexts=pairs.contexts,
        conversations=pairs.responses,
        tools=pairs.tools,
    )


def read_labels(lake: Lake, *, people: bool = False) -> LabelledPairs:
    """Read the decided labels of a lake's final set; `people`: only those that people gave."""
    prompts: dict[str, tuple[int, Conversation, str | None, str | None]] = {}
    responses: dict[str, tuple[int, Conversation, int]] = {}
    rows: list[tuple[int, int, float]] = []

    def add_response(row: dict[str, Any], side: str, prompt: int) -> int:
        identity = row[f"{side}_id"]
        if identity not in responses:
            responses[identity] = len(responses), load_messages(row[side]), prompt
        return responses[identity][0]

    for batch in lake.batches(read_query("rubric_pairs"), [people]):
        for row in batch.to_pylist():
            if row["prompt_id"] not in prompts:
                prompts[row["prompt_id"]] = (
                    len(prompts), load_messages(row["prompt"]), row["reference"], row["tools"],
                )  # fmt: skip
            prompt = prompts[row["prompt_id"]][0]
            chosen, rejected = (add_response(row, side, prompt) for side in ("chosen", "rejected"))
            rows.append((chosen, rejected, row["p_chosen"]))
    table = np.array(rows, np.float64).reshape(-1, 3)
    contexts = tuple(messages for _, messages, _, _ in prompts.values())
    conversations = tuple(messages for _, messages, _ in responses.values())
    return LabelledPairs(
        prompt_ids=tuple(prompts),
        prompts=tuple(map(get_question, contexts)),
        references=tuple(reference for _, _, reference, _ in prompts.values()),
        response_ids=tuple(responses),
        responses=tuple(map(get_spoken_text, conversations)),
        prompt_of=np.array([prompt for _, _, prompt in responses.values()], np.int64),
        chosen=table[:, 0].astype(np.int64),
        rejected=table[:, 1].astype(np.int64),
        p_chosen=table[:, 2],
        weight=np.ones(len(table)),
        dropped={},
        contexts=contexts,
        conversations=conversations,
        tools=tuple(tools for _, _, _, tools in prompts.values()),
    )
