"""Judges with default options keep their revisions and their prompts of plain text, so that nothing is asked anew.

The digests were computed with the version before conversations (2026-11, commit 1acfa2d).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate.config.validation import validate_options
from curate.core.identity import content_id
from curate.engine.base import build_chat
from curate.engine.registry import Engines
from curate.judge.base import CandidateResponse, Judge, PromptItem
from curate.judge.language import LanguageJudge, Preamble
from curate.judge.registry import JUDGES
from curate.records import plain_text

PANEL: list[tuple[dict[str, Any], str]] = [  # the demo's, and a judge of every other kind with an engine
    ({"name": "smollm", "kind": "pairwise", "engine": "m"}, "d4f0febe41ef43ebc2a06248e43e63e9"),
    (
        {"name": "cosine", "kind": "reference", "metric": "embedding", "engine": "m"},
        "cf6201c28f1ab53ba8a6d4fb3a931de7",
    ),
    ({"name": "length", "kind": "rule", "rule": "length"}, "731144db830ea6b48f0814f87d8fc172"),
    ({"name": "repetition", "kind": "rule", "rule": "repetition"}, "d728101064ba672e4d4cd6ef11d151f1"),
    ({"name": "refusal", "kind": "rule", "rule": "refusal"}, "16560647298cd4685b094cb6b16ae098"),
    ({"name": "format", "kind": "rule", "rule": "format"}, "78568e1d6e9f12e13c2f7bcdb4db95bb"),
    (
        {
            "name": "wise",
            "kind": "pairwise",
            "engine": "m",
            "reasoning": True,
            "samples": 5,
            "criteria": True,
        },
        "8a042c05a4dba546583a504bec3be6bd",
    ),
    (
        {"name": "taught", "kind": "pairwise", "engine": "m", "examples": {"source": "people.jsonl"}},
        "c0d8b7bd7566bf685f80c550cbcb42a6",
    ),
    ({"name": "rated", "kind": "pointwise", "engine": "m"}, "d69764dc9601b7ba1025eda9968d1cd3"),
    ({"name": "listed", "kind": "listwise", "engine": "m"}, "b324f49b2d5e68dafcfdee757d946933"),
    ({"name": "review", "kind": "meta", "engine": "m"}, "f6a96c3204c9980de3a3ac99daf5a3bb"),
    (
        {"name": "dpo", "kind": "likelihood", "method": "ratio", "engine": "m", "baseline": "m"},
        "0fd64f3df41b7c9f278a3a933a3418c3",
    ),
    (
        {"name": "thanks", "kind": "likelihood", "method": "follow-up", "engine": "m"},
        "f72e60fba098ba0b1016c5e4e4234971",
    ),
    ({"name": "number", "kind": "verifier", "check": "number"}, "daee649911aef27d29e5166d64d02ba9"),
]
PROMPTS = {
    "smollm": "f3b61d5ae05ef946ab7a6c89878bbfc0",
    "wise": "bb305390635715cdfbc7016bc37be8ac",
    "taught": "d7bfa46152362209df79a5412f4c19bc",
    "rated": "4f79f03415a0e0d9d8191e2b2fb8ff4d",
    "listed": "8f6fae188d9bea7a5636f926a12de773",
}
EXAMPLES = [
    {"prompt": "Why?", "chosen": "Because.", "rejected": "No."},
    {
        "prompt": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "Bye"},
        ],
        "chosen": "Farewell",
        "rejected": "Go",
    },
]
ITEM = PromptItem(
    "p",
    build_chat(("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Bye <thinking>")),
    "Farewell",
    (
        CandidateResponse("a", "Go <tool_call>"),
        CandidateResponse("b", ""),
        CandidateResponse("c", "Farewell "),
    ),
    meta="{}",
)


class Named:
    """An engine that has a name and is never asked."""

    name = revision = "m"
    capabilities = frozenset({"choose", "generate", "schema", "loglikelihood", "embed"})


class OneEngine(Engines):
    def get(self, *_: Any, **__: Any) -> Any:
        return Named()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in EXAMPLES))
    return tmp_path


def make_judge(options: dict[str, Any], folder: Path) -> Judge:
    kind = JUDGES.find(options["kind"], where="kind", folder=folder).type
    return kind(validate_options(kind.Options, options, where="judge"), OneEngine({}, folder))


@pytest.mark.parametrize(
    ("options", "revision"), PANEL, ids=lambda value: dict(value)["name"] if isinstance(value, dict) else ""
)
def test_revisions_are_those_of_before(options: dict[str, Any], revision: str, folder: Path) -> None:
    assert make_judge(options, folder).revision("") == revision


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts_of_plain_text_are_those_of_before(name: str, folder: Path) -> None:
    (options,) = (options for options, _ in PANEL if options["name"] == name)
    judge = make_judge(options, folder)
    assert isinstance(judge, LanguageJudge)
    examples = judge.find_examples([ITEM]).get("p", ())
    prompts = [judge.build_prompt(question, Preamble(), examples) for question in judge.questions(ITEM)]
    texts = [
        [(turn.role, prompt.delimiter.publish(plain_text(turn.content))) for turn in prompt.messages]
        for prompt in prompts
        if prompt.delimiter is not None
    ]
    assert content_id(texts) == PROMPTS[name]
