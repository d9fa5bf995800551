"""What is too long for a model is cut or left without a score, and every command says how much of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate.cli.app import main
from curate.config.judge import JudgeSection
from curate.config.project import Config
from curate.data.conversation import Conversation, read_messages, text_answer, text_message
from curate.judge.stage import judge_responses
from curate.lake.lake import Lake
from curate.records import Prompt, Response
from curate.reward.tokens import EncodedResponses, ResponseEncoder
from curate.train import train_reward_model
from tests.conftest import CHAT_TEMPLATE, make_tokenizer, table
from tests.train.samples import configured, written

MakeModel = Callable[..., Path]


def make_call(step: int) -> dict[str, Any]:
    return {"id": f"c{step}", "function": {"name": "look", "arguments": {"at": step}}}


def make_session(steps: int) -> list[dict[str, Any]]:
    """Return a trajectory of so many calls."""
    turns: list[dict[str, Any]] = []
    for step in range(steps):
        turns.append({"role": "assistant", "content": "", "tool_calls": [make_call(step)]})
        turns.append({"role": "tool", "tool_call_id": f"c{step}", "content": "the lazy dog " * 4})
    return [*turns, {"role": "assistant", "content": "the fox"}]


def read_session(steps: int) -> Conversation:
    return read_messages(make_session(steps), "response")


PAIRS: list[dict[str, Any]] = [
    {
        "prompt": [{"role": "user", "content": f"which is better: {number}?"}],
        "chosen": make_session(20 if number < 2 else 1),
        "rejected": "dog",
    }
    for number in range(12)
]


def encode(prompt: Conversation, responses: list[Conversation], most: int) -> EncodedResponses:
    tokenizer = make_tokenizer(CHAT_TEMPLATE)
    encoder = ResponseEncoder(tokenizer, max_length=most, whole=False, padding=tokenizer.pad_token_id)
    encoded = encoder.encode_responses(prompt, responses)
    assert isinstance(encoded, EncodedResponses)
    return encoded


def test_a_long_trajectory_loses_its_end_and_a_prompt_of_many_messages_its_beginning() -> None:
    prompt = tuple(
        text_message(role, f"{role} {number}")
        for number in range(30)
        for role in ("user", "assistant")
    )[:-1]  # fmt: skip
    responses = [read_session(20), text_answer("dog")]
    whole, found = encode(prompt, responses, 1 << 20), encode(prompt, responses, 400)
    assert whole.cut == 0
    assert found.cut == 2  # the prompt and the trajectory
    assert len(found.prompt) + max(map(len, found.responses)) == 400
    assert len(found.prompt) == 100
    assert found.prompt == whole.prompt[-100:]
    assert found.responses[0][:-2] == whole.responses[0][:298]
    assert found.responses[0][-2:] == whole.responses[0][-2:]  # what closes the turn, where the score is read
    assert found.responses[1] == whole.responses[1]


def test_trajectories_that_differ_only_in_what_is_cut_are_counted(
    lake: Lake, tmp_path: Path, make_model: MakeModel
) -> None:
    sides = [
        [{"role": "assistant", "content": "", "tool_calls": [make_call(step) for step in (*range(20), last)]}]
        for last in (100, 200)
    ]
    rows = [
        *PAIRS,
        {"prompt": PAIRS[0]["prompt"][0]["content"] + "!", "chosen": sides[0], "rejected": sides[1]},
    ]
    config = configured(
        tmp_path, make_model(), max_length=256, row_tokens=512, batch_tokens=512, epochs=1, held_out=0.4
    )
    summary = train_reward_model(lake, config, written(tmp_path / "data", rows))
    assert summary.counts.dropped == {"equal after truncation": 1}
    assert "; 2 texts were cut to fit into train.backbone.max_length" in summary.note
    about = json.loads((config.resolve("models/reward") / "training.json").read_text())
    assert about["cut"] == 2
    assert "the chat template left out calls of tools of " in summary.note


def test_evaluate_says_what_has_no_score(
    tmp_path: Path, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_model(head="reward")
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, PAIRS)), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["curate", "evaluate", str(model), "-b", "pairs.jsonl"])
    with pytest.raises(SystemExit, match="0"):
        main()
    told = " ".join(capsys.readouterr().out.split())
    assert f"{model.name}: 2 responses have no score (too long)" in told.replace(str(model), model.name)
    (tmp_path / "curate.yaml").write_text("workspace: .curate\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="0"):
        main()
    told = " ".join(capsys.readouterr().out.split())
    assert "2 responses have no score (too long)" in told


def test_judge_says_what_has_no_score(lake: Lake, tmp_path: Path, make_model: MakeModel) -> None:
    judge = {"name": "rm", "kind": "reward-model", "model": str(make_model(head="reward"))}
    config = Config(judge=JudgeSection(judges=[judge]))
    object.__setattr__(config, "_folder", tmp_path)
    prompt = Prompt(prompt_id="p", source="s", messages=(text_message("user", "which?"),))
    answers = (text_answer("dog"), read_session(1), read_session(20))
    responses = [
        Response(response_id=f"r{number}", prompt_id="p", messages=answer)
        for number, answer in enumerate(answers)
    ]
    with lake.write("sample") as writer:
        writer.append("prompts", table([prompt]))
        writer.append("responses", table(list(responses)))
    summary = judge_responses(lake, config)
    assert summary.note == (
        "rm: 1 responses have no score (too long), the chat template left out calls of tools of 21 messages"
    )
    outcomes = dict(lake.rows("SELECT outcome = 'failed', count(*) FROM judgments GROUP BY ALL"))
    assert outcomes == {False: 2, True: 1}
