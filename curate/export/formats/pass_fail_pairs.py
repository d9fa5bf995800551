"""The format `pass-fail-pairs`: responses that people passed beside responses to other prompts that they failed.

Single responses are easier to judge than pairs, and pairs across prompts make a training set of a reward model of them
(SoliReward, arXiv 2512.22170). `chosen` and `rejected` are whole conversations, as TRL's RewardTrainer reads pairs with
an implicit prompt (docs/source/dataset_formats.md, at huggingface/trl f2cd577). `curate train` reads pairs of one
prompt only.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from curate.core.identity import content_id
from curate.core.section import Section
from curate.export.formats.dialogue import list_images
from curate.export.formats.row_format import RowFormat
from curate.export.formats.tasks import Dict
from curate.export.rows import ChatMessage, MessageDict
from curate.records import Record


class PassFailOptions(Section):
    """Which responses stand beside each other."""

    within: Literal["all", "source", "category"] = Field(
        "all",
        description="all: any passed response beside any failed one. source, category: of prompts of one data set, or "
        "of one `category` in their meta.",
    )
    pairs: int = Field(1, ge=1, description="Pairs for each response of the side that has more.")
    seed: int = 0


class PassFailPairRow(Record):
    """Two whole conversations of different prompts; `chosen_people` and `rejected_people` are for the verdict."""

    chosen: tuple[ChatMessage, ...]
    rejected: tuple[ChatMessage, ...]
    chosen_prompt_id: str
    rejected_prompt_id: str
    chosen_id: str
    rejected_id: str
    chosen_model: str | None
    rejected_model: str | None
    chosen_people: int
    rejected_people: int


class PassFailConversationRow(PassFailPairRow):
    """A `PassFailPairRow` where a prompt or response has more than text."""

    chosen: tuple[MessageDict, ...]  # type: ignore[assignment]
    rejected: tuple[MessageDict, ...]  # type: ignore[assignment]
    images: tuple[str, ...] = ()
    rejected_images: tuple[str, ...] = ()


class PassFailPairs(RowFormat):
    """Responses that people passed, each beside one that they failed, of another prompt."""

    Options = PassFailOptions
    rows = "pass-fail"
    Row = PassFailPairRow
    ConversationRow = PassFailConversationRow
    checks_rows = False
    title = "Pairs of passed and failed responses"
    about = "Conversations of different prompts: people passed the response of `chosen`, and failed that of `rejected`."

    def write_rows(self, rows: Iterator[Dict]) -> Iterator[Dict]:
        """Yield pairs across prompts; a response that finds no partner is counted as lost."""
        groups: dict[str, tuple[list[Dict], list[Dict]]] = defaultdict(lambda: ([], []))
        for row in rows:
            if row["tools"]:
                self._losses["a prompt with tools"] += 1
                continue
            group = "" if self.options.within == "all" else str(row[self.options.within])
            groups[group][0 if row["passes"] else 1].append(row)
        for _, (passed, failed) in sorted(groups.items()):
            used: set[str] = set()
            for one, other in self._pair_up(self._shuffle(passed), self._shuffle(failed)):
                used |= {one["response"]["response_id"], other["response"]["response_id"]}
                yield _write_pair(one, other)
            alone = sum(row["response"]["response_id"] not in used for row in [*passed, *failed])
            if alone:
                self._losses["without a partner of another prompt"] += alone

    def _shuffle(self, rows: Sequence[Dict]) -> list[Dict]:
        return sorted(rows, key=lambda row: content_id(self.options.seed, row["response"]["response_id"]))

    def _pair_up(self, passed: Sequence[Dict], failed: Sequence[Dict]) -> Iterator[tuple[Dict, Dict]]:
        """Yield different pairs of different prompts, so that all responses of a side are used about alike."""
        if not passed or not failed:
            return
        round_trip = math.lcm(len(passed), len(failed))
        wanted = max(len(passed), len(failed)) * self.options.pairs
        made = 0
        for number in range(len(passed) * len(failed)):
            shift = number // round_trip  # after a round, the same numbers would meet again
            one, other = passed[number % len(passed)], failed[(number + shift) % len(failed)]
            if one["prompt_id"] == other["prompt_id"]:
                continue
            yield one, other
            made += 1
            if made == wanted:
                return


def _write_pair(one: Dict, other: Dict) -> Dict:
    row: Dict = {}
    for side, shown, people in (("chosen", one, "passed"), ("rejected", other, "failed")):
        response = shown["response"]
        row |= {
            side: [*shown["prompt"], *response["messages"]],
            f"{side}_prompt_id": shown["prompt_id"],
            f"{side}_id": response["response_id"],
            f"{side}_model": response["model"],
            f"{side}_people": shown[people],
        }
    return row | {"images": list_images(one["prompt"]), "rejected_images": list_images(other["prompt"])}
