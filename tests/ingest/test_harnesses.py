"""Files of evaluation harnesses: logs of Inspect, promptfoo's results, samples of the LM Evaluation Harness."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from curate.config.ingest import Source
from curate.config.project import Config
from curate.core.errors import CurateError
from curate.ingest.decoders import make_responses_decoder
from curate.ingest.recognition import recognize_source
from curate.ingest.rejection import RowError
from curate.ingest.rows import Row
from curate.lake.lake import Lake
from tests.ingest.samples import Take, rejected

RATINGS = """
SELECT r.model, j.annotator_id, j.kind, j.score, j.aspect FROM judgments j
JOIN responses r ON r.response_id = j.response_a ORDER BY ALL
"""


def read_one(shape: str, row: dict[str, Any], **fields: Any) -> Row:
    source = Source.model_validate(
        {"source": "x.jsonl", "format": shape, **({"fields": fields} if fields else {})}
    )
    rows = make_responses_decoder(source, name="x")(json.dumps(row).encode())
    assert isinstance(rows, list)
    return rows[0]


def recognize(path: Path) -> tuple[str, str]:
    config = Config()
    found = recognize_source(Source(source=str(path)), config)
    assert found.source is not None
    return found.source.format, found.certainty


# Inspect ----------------------------------------------------------------------------------------------------------


def make_sample(
    number: int = 1, epoch: int = 1, answer: str | None = "An oak.", **changes: Any
) -> dict[str, Any]:
    messages = [
        {"id": "s", "role": "system", "content": "Be brief."},
        {"id": "u", "role": "user", "content": f"Name tree {number}.", "source": "input"},
    ]
    answered = [] if answer is None else [{"role": "assistant", "content": answer, "source": "generate"}]
    return {
        "id": number,
        "epoch": epoch,
        "input": f"Name tree {number}.",
        "target": "An oak.",
        "messages": messages + answered,
        "output": {"model": "m1", "choices": [{"message": turn, "stop_reason": "stop"} for turn in answered]},
        "scores": {"match": {"value": "C" if answer == "An oak." else "I", "explanation": answer}},
    } | changes


def make_log(model: str, *samples: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": 2,
        "status": "success",
        "eval": {"task": "trees", "model": model},
        "plan": {"steps": []},
        "results": {"scores": []},
        "stats": {},
        "samples": list(samples),
    }


def test_two_logs_of_inspect_give_responses_of_two_models_that_one_scorer_rates(
    take: Take, lake: Lake, tmp_path: Path
) -> None:
    for model, answers in (("maker/m1", ("An oak.", "A fir.")), ("maker/m2", ("A cod.", None))):
        log = make_log(model, *(make_sample(n, answer=answer) for n, answer in enumerate(answers, 1)))
        path = tmp_path / f"{model[-2:]}.json"
        path.write_text(json.dumps(log, indent=2))
        answered = "certain" if None not in answers else "likely"
        assert recognize(path) == ("inspect-log", answered)
        take(path.name, path.read_bytes(), format="inspect-log")
    assert lake.rows(RATINGS) == [
        ("maker/m1", "match", "imported", 0.0, None),
        ("maker/m1", "match", "imported", 1.0, None),
        ("maker/m2", "match", "imported", 0.0, None),
    ]
    assert lake.value("SELECT count(*) FROM prompts") == 2
    assert rejected(lake) == [(2, "The model gave no answer to this sample.")]


def test_epochs_of_a_sample_are_responses_to_one_prompt(take: Take, lake: Lake) -> None:
    samples = [make_sample(1, 1), make_sample(1, 2, "A fir.")]
    take("log.json", json.dumps(make_log("m1", *samples)).encode(), format="inspect-log")
    assert lake.value("SELECT count(*) FROM prompts") == 1
    assert lake.value("SELECT count(*) FROM responses") == 2


def test_what_an_agent_did_is_the_response_and_attachments_are_put_back() -> None:
    call = {"id": "c1", "function": "look_up", "arguments": {"what": "oak"}, "type": "function"}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "attachment://a1"}], "source": "input"},
        {"role": "assistant", "content": [{"type": "reasoning", "reasoning": "Look."}], "tool_calls": [call]},
        {"role": "tool", "content": "It is a tree.", "tool_call_id": "c1", "function": "look_up"},
        {"role": "assistant", "content": "A tree."},
    ]
    sample = make_sample(
        messages=messages, attachments={"a1": "What is an oak?"}, scores={"judge": {"value": 0.5}}
    )
    row = read_one("inspect-log", {"eval": {"model": "m1"}, **sample})
    assert row.prompt == "What is an oak?"
    answer = row.responses[0].messages
    assert answer is not None
    assert [message.role for message in answer] == ["assistant", "tool", "assistant"]
    assert answer[0].reasoning == "Look."
    assert [(made.name, made.arguments) for made in answer[0].tool_calls] == [("look_up", '{"what":"oak"}')]
    assert [(rating.annotator, rating.score) for rating in row.ratings] == [("judge", 0.5)]


def test_one_attachment_named_often_does_not_fill_memory_or_disk() -> None:
    messages = [{"role": "user", "content": "attachment://a1"}] * 80
    sample = make_sample(messages=messages, attachments={"a1": "x" * 1_000_000})
    with pytest.raises(RowError, match="more than 64 million characters"):
        read_one("inspect-log", {"eval": {"model": "m1"}, **sample})


def test_a_header_that_unpacks_to_more_than_a_row_is_refused_unread(take: Take) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", b" " * (2 << 20))
    with pytest.raises(CurateError, match="raise `max_line_mib`"):
        take("log.eval", held.getvalue(), format="inspect-log", max_line_mib=1)


def test_answers_that_belong_to_the_input_are_asked_and_not_answered() -> None:
    given = [
        {"role": "user", "content": "Name a tree."},
        {"role": "assistant", "content": "An oak."},
        {"role": "user", "content": "Another."},
    ]
    messages = [*given, {"role": "assistant", "content": "A fir."}]
    row = read_one("inspect-log", {"eval": {"model": "m"}, **make_sample(input=given, messages=messages)})
    assert not isinstance(row.prompt, str)
    assert len(row.prompt) == 3
    assert row.responses[0].text == "A fir."


def test_scores_of_several_choices_rate_none_of_them() -> None:
    choices = [{"message": {"role": "assistant", "content": text}} for text in ("An oak.", "A fir.")]
    row = read_one("inspect-log", {"eval": {"model": "m"}, **make_sample(output={"choices": choices})})
    assert [response.text for response in row.responses] == ["An oak.", "A fir."]
    assert row.ratings == []


@pytest.mark.parametrize(
    ("value", "ratings"),
    [
        ("P", [(0.5, None)]),
        (True, [(1.0, None)]),
        ({"style": 3, "facts": "I"}, [(3.0, "style"), (0.0, "facts")]),
        ("long words", []),
        (None, []),
    ],
)
def test_values_of_scorers(value: Any, ratings: list[Any]) -> None:
    row = read_one("inspect-log", {"eval": {"model": "m"}, **make_sample(scores={"own": {"value": value}})})
    assert [(rating.score, rating.aspect) for rating in row.ratings] == ratings


def pack_log(log: dict[str, Any]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for sample in log["samples"]:
            archive.writestr(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", json.dumps(sample))
        archive.writestr("header.json", json.dumps({key: log[key] for key in log if key != "samples"}))
    return held.getvalue()


def test_an_eval_archive_is_the_same_log(take: Take, lake: Lake, tmp_path: Path) -> None:
    log = make_log("maker/m1", make_sample(1), make_sample(2, answer="A cod."))
    path = tmp_path / "log.eval"
    path.write_bytes(pack_log(log))
    assert recognize(path) == ("inspect-log", "certain")
    take("log.eval", path.read_bytes(), format="inspect-log")
    before = lake.rows("SELECT response_id, model FROM responses ORDER BY ALL")
    assert len(before) == 2
    counts = take("log.json", json.dumps(log).encode(), format="inspect-log").counts
    assert counts.rows_duplicate == 2
    assert lake.rows("SELECT response_id, model FROM responses ORDER BY ALL") == before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no archive", "inspect log convert --to json"),
        (pack_log(make_log("m", make_sample()))[:-40], "inspect log convert --to json"),
        ("empty", "no log of Inspect: it has no `header.json`"),
    ],
)
def test_a_file_that_is_no_eval_archive_is_refused(take: Take, content: bytes | str, sentence: str) -> None:
    if isinstance(content, str):
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            archive.writestr("other.txt", "x")
        content = held.getvalue()
    with pytest.raises(CurateError, match=sentence):
        take("log.eval", content, format="inspect-log")


# promptfoo --------------------------------------------------------------------------------------------------------


def make_result(
    provider: Any, output: Any, score: float = 1.0, prompt: str = "Name a tree.", **more: Any
) -> dict[str, Any]:
    return {
        "promptIdx": 0,
        "testIdx": 0,
        "promptId": "p",
        "prompt": {"raw": prompt, "label": "Name a {{kind}}."},
        "provider": provider,
        "vars": {"kind": "tree"},
        "testCase": {"vars": {"kind": "tree"}},
        "response": {"output": output},
        "success": score > 0.5,
        "score": score,
        "namedScores": {},
        "latencyMs": 3,
        "gradingResult": {"pass": score > 0.5, "score": score, "reason": "Said so."},
    } | more


RESULTS = [
    make_result({"id": "maker:m1", "label": ""}, "An oak."),
    make_result({"id": "maker:m2", "label": "tuned"}, "A cod.", 0.0, namedScores={"brevity": 1}),
    make_result({"id": "maker:m3"}, None, 0.0, error="No key is set."),
]


def test_results_of_promptfoo_are_responses_of_providers_to_one_prompt(
    take: Take, lake: Lake, tmp_path: Path
) -> None:
    document = {
        "evalId": "e",
        "results": {"version": 3, "results": RESULTS, "stats": {}},
        "config": {},
        "shareableUrl": None,
    }
    path = tmp_path / "results.json"
    path.write_text(json.dumps(document, indent=2))
    assert recognize(path) == ("promptfoo", "likely")  # one of three has no output
    take("results.json", path.read_bytes(), format="promptfoo")
    assert lake.rows(RATINGS) == [
        ("maker:m1", "promptfoo", "imported", 1.0, None),
        ("tuned", "promptfoo", "imported", 0.0, None),
        ("tuned", "promptfoo", "imported", 1.0, "brevity"),
    ]
    assert lake.value("SELECT count(*) FROM prompts") == 1
    assert rejected(lake) == [(3, "The provider gave no output: No key is set.")]


def test_lines_of_promptfoo_are_read_as_its_document_is(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in RESULTS[:2]))
    assert recognize(path) == ("promptfoo", "certain")


def test_a_rendered_chat_is_messages_and_an_output_that_is_an_object_is_its_text() -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Name a tree."}]
    row = read_one("promptfoo", make_result("m1", {"tree": "Eiche, größte"}, prompt=json.dumps(chat)))
    assert not isinstance(row.prompt, str)
    assert [message.role for message in row.prompt] == ["system", "user"]
    assert row.responses[0].text == '{"tree": "Eiche, größte"}'
    assert row.responses[0].model == "m1"


# LM Evaluation Harness --------------------------------------------------------------------------------------------


def make_document(**changes: Any) -> dict[str, Any]:
    return {
        "doc_id": 0,
        "doc": {"question": "How many legs?", "answer": "8"},
        "target": "8",
        "arguments": {"gen_args_0": {"arg_0": "Q: How many legs?\nA:", "arg_1": {"until": ["Q:"]}}},
        "resps": [["It has 8."]],
        "filtered_resps": ["8"],
        "filter": "strict-match",
        "metrics": ["exact_match"],
        "doc_hash": "a",
        "prompt_hash": "b",
        "target_hash": "c",
        "exact_match": 1.0,
    } | changes


def test_filters_of_one_document_rate_one_response(take: Take, lake: Lake, tmp_path: Path) -> None:
    rows = [make_document(), make_document(filter="flexible-extract", filtered_resps=["9"], exact_match=0.0)]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "samples_legs.jsonl").write_text(content)
    assert recognize(tmp_path / "samples_legs.jsonl") == ("lm-eval", "certain")
    take("m1.jsonl", content.encode(), format="lm-eval", fields={"responses": {"m1": "resps"}})
    assert lake.value("SELECT count(*) FROM responses") == 1
    assert lake.rows(RATINGS) == [
        ("m1", "exact_match,flexible-extract", "imported", 0.0, None),
        ("m1", "exact_match,strict-match", "imported", 1.0, None),
    ]


def test_two_models_answer_one_prompt(take: Take, lake: Lake) -> None:
    for model, text in (("m1", "It has 8."), ("m2", "It has 6.")):
        row = make_document(resps=[[text]], exact_match=float(model == "m1"))
        take(
            f"{model}.jsonl",
            json.dumps(row).encode(),
            format="lm-eval",
            fields={"responses": {model: "resps"}},
        )
    assert lake.value("SELECT count(*) FROM prompts") == 1
    assert [(row[0], row[3]) for row in lake.rows(RATINGS)] == [("m1", 1.0), ("m2", 0.0)]


CHAT = [{"role": "system", "content": "Count."}, {"role": "user", "content": "Legs?"}]
CHATML = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in CHAT)
CHATML += "<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("arguments", "roles"),
    [
        ([["Q: How many legs?", {"until": ["Q:"]}]], ["user"]),
        ({"gen_args_0": {"arg_0": json.dumps(CHAT)}}, ["system", "user"]),
        ([[CHATML, {}]], ["system", "user"]),
    ],
)
def test_contexts_of_every_form(arguments: Any, roles: list[str]) -> None:
    prompt = read_one("lm-eval", make_document(arguments=arguments)).prompt
    assert (["user"] if isinstance(prompt, str) else [message.role for message in prompt]) == roles


def test_a_metric_of_unknown_direction_is_an_aspect() -> None:
    row = read_one("lm-eval", make_document(metrics=["exact_match", "ter"], ter=0.25))
    assert [(rating.annotator, rating.aspect) for rating in row.ratings] == [
        ("exact_match,strict-match", None),
        ("ter,strict-match", "ter"),
    ]


def test_log_likelihoods_of_choices_are_no_response() -> None:
    row = make_document(resps=[[["-1.5", "False"]], [["-2.5", "False"]]], filtered_resps=[["-1.5", "False"]])
    with pytest.raises(RowError, match="log-likelihoods of given choices"):
        read_one("lm-eval", row)
