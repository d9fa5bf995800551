"""Extraction: what a model is asked and shown, what becomes of its answers, and nothing is lost or paid for twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from curate.cli.app import app
from curate.config.project import Config, load_config
from curate.config.rubric_extract import METHODS
from curate.core.errors import CurateError
from curate.data.rubric import read_rubric
from curate.lake.lake import Lake
from curate.rubric.extraction import extract_rubrics
from curate.rubric.extraction.methods import EXTRACTION_METHODS
from curate.rubric.extraction.proposals import Proposal, clean_proposals, merge_proposals

WRITER = """
import json, math
from curate.engine import ConfiguredEngine, EngineOptions, Failure
from curate.engine.base import Choice, Completion, Generation
from curate.records import plain_text

class Options(EngineOptions):
    log: str = "asked.log"
    able: list[str] = ["choose", "generate", "schema"]
    says: dict[str, str] = {}     # what it says to prompts that hold a word; else by step, below
    answer_of: str = "1"          # its revision
    favours: dict[str, str] = {}  # word of the criteria: word of the response that they favour

class Writer(ConfiguredEngine):
    Options = Options

    def __init__(self, name, options, engines):
        super().__init__(name, options, engines)
        self._log = engines.folder / options.log

    @property
    def capabilities(self):
        return frozenset(self.options.able)

    @property
    def revision(self):
        return self.options.answer_of

    def _read(self, request):
        text = "\\n".join(plain_text(turn.content) for turn in request.messages)
        with self._log.open("a") as log:
            print(json.dumps(text), file=log)
        return text

    def generate(self, requests):
        return [self._say(request) for request in requests]

    def _say(self, request):
        text = self._read(request)
        said = next((said for word, said in self.options.says.items() if word in text), None)
        if said == "FAIL":
            return Failure("time-out", "half an answ")
        finish = "length" if said == "CUT" else "stop"
        return Generation((Completion('{"rules": ["The' if said == "CUT" else said or "", (), finish),), 100, 20)

    def choose(self, requests):
        return [self._choose(request) for request in requests]

    def _choose(self, request):
        text = self._read(request)
        criteria, _, responses = text.partition("Criteria:")[2].partition("Response A:")
        first, second = responses.split("Response B:")
        odds = 0.0
        for word, liked in self.options.favours.items():
            if word in criteria:
                odds += (liked in first) - (liked in second)
        p = 1 / (1 + math.exp(-2 * odds))
        return Choice((math.log(p), math.log(1 - p)), 50, 0)
"""
SETTINGS = """
engines:
  m: {kind: "./writer.py:Writer", says: SAYS, favours: FAVOURS, answer_of: "REVISION"}
rubric:
  extract: {engine: m, chunk: 4EXTRA}
"""
Run = Callable[..., Any]


def rows(number: int = 6) -> list[dict[str, Any]]:
    return [
        {
            "prompt": f"What is {each} plus {each}?",
            "chosen": f"It is {2 * each}, since twice {each} makes that.",
            "rejected": f"No idea about {each}.",
            "reasons": [f"Answer {each} explains the sum.", "The other one says nothing."],
        }
        for each in range(number)
    ]


@pytest.fixture
def extract(lake: Lake, tmp_path: Path) -> Run:
    """Extract with a model that says what the arguments say."""
    (tmp_path / "writer.py").write_text(WRITER)
    if not (tmp_path / "pairs.jsonl").exists():
        (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))

    def run(
        says: dict[str, Any] | None = None,
        favours: dict[str, str] | None = None,
        *,
        force: bool = False,
        model: str = "1",
        **extra: Any,
    ) -> Any:
        said = {
            word: text if isinstance(text, str) else json.dumps(text) for word, text in (says or {}).items()
        }
        options = {"labels": "pairs.jsonl"} | extra
        listed = "".join(f", {name}: {json.dumps(value)}" for name, value in options.items())
        text = SETTINGS.replace("SAYS", json.dumps(said)).replace("FAVOURS", json.dumps(favours or {}))
        (tmp_path / "curate.yaml").write_text(text.replace("EXTRA", listed).replace("REVISION", model))
        return extract_rubrics(lake, load_config(tmp_path / "curate.yaml"), force=force)

    return run


def asked(folder: Path) -> list[str]:
    log = folder / "asked.log"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


GOOD = {"hard_rules": ["The response gives the sum."], "principles": ["The response says why."]}
CONTRAST = "Responses, from best to worst:"


# Methods ----------------------------------------------------------------------------------------------------------


def test_every_method_has_a_name_that_settings_know() -> None:
    assert set(EXTRACTION_METHODS.names) == set(METHODS)


def test_contrast_keeps_what_predicts_the_labels(extract: Run, lake: Lake, tmp_path: Path) -> None:
    mad = {"hard_rules": [], "principles": ["The response is about the moon."]}
    result = extract(
        {"What is 3 plus 3?": mad, CONTRAST: GOOD}, {"says why": "since", "gives the sum": "It is"}
    )
    (rubric,) = result.rubrics
    assert [(each.text, each.kind, each.weight) for each in rubric.criteria] == [
        ("The response gives the sum.", "hard", 1.0),
        ("The response says why.", "principle", 1.0),
    ]
    assert rubric.criteria[0].reason == "Found 5 times (contrastive) in 6 pairs, at 5 prompts."
    assert read_rubric(tmp_path / "rubrics" / "extracted.yaml") == rubric
    assert result.steps == {"contrastive": {"answered": 6}, "evaluate": {"answered": 12}}
    assert dict(result.dropped) == {"inconsistent with the labels": 1, "says the same as another": 8}
    # The model that judges by the criteria sees no label: both orders, and neither is called the better one.
    judged = [text for text in asked(tmp_path) if "Criteria:" in text]
    assert len(judged) == 12
    assert not any("preferred" in text or "best to worst" in text for text in judged)
    # The one that writes them sees the order, and the reasons.
    first = asked(tmp_path)[0]
    assert first.index("It is 0") < first.index("No idea about 0")
    assert "Answer 0 explains the sum." in first
    (row,) = lake.rows("SELECT origin, details, len(criteria) FROM rubrics")
    assert (row[0], row[2]) == ("extract", 2)
    details = json.loads(row[1])
    assert (details["pairs"], details["proposed"], len(details["learnt_from"])) == (6, 11, 6)


def test_traces_become_rules_that_are_merged(extract: Run, tmp_path: Path) -> None:
    says = {
        "Think step by step": "It explains. The other does not.",
        "Reasoning:": {"rules": ["The response explains the sum.", "The response is better."]},
        "Merge the rules": {"rules": ["The response explains its sum."]},
    }
    result = extract(says, methods=["traces"])
    (rubric,) = result.rubrics
    # Six equal rules are one before any model is asked to merge; and what restates the label is none.
    assert [each.text for each in rubric.criteria] == ["The response explains the sum."]
    assert result.steps == {"trace": {"answered": 6}, "rules": {"answered": 6}}
    assert result.dropped["restates the label"] == 6
    winners = [
        text.split("Think")[0].rstrip()[-len("Response A was preferred.") :] for text in asked(tmp_path)[:6]
    ]
    for text, winner in zip(asked(tmp_path), winners, strict=False):
        first, second = text.split("Response A:")[1].split("Response B:")
        assert ("since twice" in first) == winner.startswith("Response A")
        assert ("since twice" in second.split("Reasons")[0]) == winner.startswith("Response B")


def test_a_merge_takes_the_support_of_what_it_joins_and_a_failed_one_loses_nothing(
    extract: Run, lake: Lake, tmp_path: Path
) -> None:
    says = {
        "Think step by step": "It explains.",
        "Merge the rules": {"rules": ["The response explains the whole sum."]},
        "Reasoning:": {"rules": ["The response explains the sum.", "The response has exactly one sentence."]},
    }
    (rubric,) = extract(says, methods=["traces"]).rubrics
    assert [each.text for each in rubric.criteria] == ["The response explains the whole sum."]
    assert "12 times" in (rubric.criteria[0].reason or "")
    result = extract(says | {"Merge the rules": "no JSON"}, methods=["traces"], name="other", model="2")
    assert len(result.rubrics[0].criteria) == 2
    assert result.steps["merge"] == {"failed": 1}
    ((step, reason, raw),) = lake.rows("SELECT step, reason, raw FROM rubric_calls WHERE outcome = 'failed'")
    assert (step, reason.partition(":")[0], raw) == ("merge", "not JSON", "no JSON")


def test_reasons_become_principles_with_a_sign(extract: Run, tmp_path: Path) -> None:
    principles = [
        {"sentence": "The response explains its result.", "holds_for": "better"},
        {"sentence": "The response refuses to answer.", "holds_for": "worse"},
        {"sentence": "The response is polite to people.", "holds_for": "both"},
    ]
    (rubric,) = extract({"The worse response:": {"principles": principles}}, methods=["reasons"]).rubrics
    assert {each.name: each.weight for each in rubric.criteria} == {
        "explains-result": 1.0, "refuses": -1.0, "polite-people": 1.0
    }  # fmt: skip
    assert "The other one says nothing." in asked(tmp_path)[0]
    bare = [{key: value for key, value in row.items() if key != "reasons"} for row in rows()]
    (tmp_path / "bare.jsonl").write_text("".join(json.dumps(row) + "\n" for row in bare))
    with pytest.raises(CurateError, match="'reasons', which reads reasons, but none of the 6 pairs has any"):
        extract({}, methods=["reasons"], labels="bare.jsonl", name="bare")


def test_criteria_are_revised_until_they_predict_the_label(extract: Run, tmp_path: Path) -> None:
    says = {
        "These criteria were tried": {"criteria": ["The response says why it is so."]},
        "Write criteria that": {"criteria": ["The response talks of the moon."]},
    }
    result = extract(says, {"says why": "since"}, methods=["revise"])
    assert [each.text for each in result.rubrics[0].criteria] == ["The response says why it is so."]
    assert result.notes["revise"] == {"pairs": 6, "predicted": 6}
    assert result.steps == {"propose": {"answered": 12}, "evaluate": {"answered": 24}}
    with pytest.raises(CurateError, match=r"No criterion is left.*predicts no label of its own pair 6"):
        extract(
            says, methods=["revise"], name="never", model="2"
        )  # nothing ever predicts; the same criteria end it


def test_hypotheses_are_for_the_pairs_that_are_not_explained(extract: Run, tmp_path: Path) -> None:
    says = {
        CONTRAST: {"hard_rules": [], "principles": ["The response talks of twice 1 or twice 2."]},
        "What else could explain": {"hypotheses": ["The response says since when it should."]},
    }
    favours = {"twice 1 or twice 2": "twice 1", "says since": "since"}
    result = extract(says, favours, methods=["contrastive", "hypotheses"], consistency=0)
    assert len(result.rubrics[0].criteria) == 2
    assert result.notes["hypotheses"] == {"pairs": 6, "explained": [1, 6]}
    (shown, *_) = [text for text in asked(tmp_path) if "What else could explain" in text]
    assert "twice 1 or twice 2" in shown
    assert all("What is 1 plus 1?" not in text for text in asked(tmp_path) if "What else could" in text)
    useless = extract(says, {}, methods=["contrastive", "hypotheses"], consistency=0, name="two", model="2")
    assert useless.dropped["explains no more pairs"] == 1
    with pytest.raises(CurateError, match="looks at all prompts together"):
        extract(says, methods=["hypotheses"], scope="prompt", name="three")


# Rubrics of single prompts ----------------------------------------------------------------------------------------


def test_each_prompt_may_have_a_rubric_of_its_own(extract: Run, lake: Lake, tmp_path: Path) -> None:
    result = extract({CONTRAST: GOOD}, scope="prompt", consistency=0)
    files = sorted((tmp_path / "rubrics" / "extracted").glob("*.yaml"))
    assert len(files) == len(result.rubrics) == 6
    rubric = read_rubric(files[0])
    assert rubric.prompt_id == files[0].stem
    assert lake.value("SELECT count(DISTINCT prompt_id) FROM rubrics") == 6


# Failures, repetition, edits --------------------------------------------------------------------------------------


def test_every_failure_is_a_counted_row(extract: Run, lake: Lake) -> None:
    says = {
        "What is 0 plus 0?": "FAIL",
        "What is 1 plus 1?": "no JSON at all",
        "What is 2 plus 2?": {"hard_rules": ["x"] * 9, "principles": []},
        "What is 3 plus 3?": "CUT",
        CONTRAST: GOOD,
    }
    result = extract(says, consistency=0)
    assert result.summary.counts.dropped == {
        "time-out": 1, "not JSON": 1, "other JSON than asked for": 1, "cut off": 1
    }  # fmt: skip
    counts = result.summary.counts
    assert counts.rows_in == counts.rows_kept + counts.rows_duplicate + counts.rows_dropped == 6
    failed = lake.rows("SELECT reason, raw FROM rubric_calls WHERE outcome = 'failed' ORDER BY reason")
    assert ("time-out", "half an answ") in failed
    assert len(failed) == 4


def test_the_same_again_asks_what_failed_alone(extract: Run, lake: Lake, tmp_path: Path) -> None:
    extract({"What is 0 plus 0?": "FAIL", CONTRAST: GOOD}, consistency=0)
    before = len(asked(tmp_path))
    result = extract({CONTRAST: GOOD}, consistency=0)
    assert len(asked(tmp_path)) - before == 1
    assert result.steps["contrastive"] == {"known": 5, "answered": 1}
    assert result.summary.counts.rows_duplicate == 5
    assert lake.value("SELECT count(*) FROM rubrics") == 1  # the same rubric; its record is the newer one
    answered = len(asked(tmp_path))
    extract({CONTRAST: GOOD}, consistency=0)
    assert len(asked(tmp_path)) == answered


def test_what_somebody_has_edited_is_not_written_over(extract: Run, tmp_path: Path) -> None:
    extract({CONTRAST: GOOD}, consistency=0)
    path = tmp_path / "rubrics" / "extracted.yaml"
    document = yaml.safe_load(path.read_text())
    document["criteria"][0]["weight"] = 7.0
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(CurateError, match="is not as `curate rubric extract` wrote it"):
        extract({CONTRAST: GOOD}, consistency=0)
    assert yaml.safe_load(path.read_text())["criteria"][0]["weight"] == 7.0
    extract({CONTRAST: GOOD}, consistency=0, force=True)
    assert read_rubric(path).criteria[0].weight == 1.0


def test_an_engine_without_probabilities_or_schemas_is_read_strictly(extract: Run, tmp_path: Path) -> None:
    from curate.engine import Engines
    from curate.lake.runs import StageRun
    from curate.rubric.extraction.calls import Call, open_caller

    del extract  # which has written the engine's file
    with Lake.open(load_config(_write_plain(tmp_path)).location) as lake:
        config = load_config(tmp_path / "plain.yaml")
        caller = open_caller(
            Engines.from_config(config), "m", where="here", run=StageRun(lake, "rubric", config_hash=""),
            rubric="r", max_tokens=50, chunk=8, advance=lambda rows, note="": None,
        )  # fmt: skip
        values = {"request": "Q", "first": "one", "second": "two", "criteria": ["It is one."]}
        calls = [
            Call(step="evaluate", values=values | {"request": name}, prompt_ids=(name,), choices=("A", "B"))
            for name in ("says B", "says maybe")
        ]
        sure, unsure = caller.ask(calls)
        assert sure == [0.0, 1.0]
        assert unsure.reason == "none of A, B"


def _write_plain(folder: Path) -> Path:
    says = {"says B": " B", "says maybe": "maybe"}
    engine = {"kind": "./writer.py:Writer", "able": ["generate"], "says": says}
    (folder / "plain.yaml").write_text(yaml.safe_dump({"engines": {"m": engine}}))
    return folder / "plain.yaml"


# Labels of the lake -----------------------------------------------------------------------------------------------


def test_labels_of_the_lake_bring_reasons_of_people(
    sample_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the commands: aggregate, extract, and the guideline that people read."""
    a, b, prompt = sample_lake.rows(
        "SELECT min(response_id), max(response_id), prompt_id FROM responses WHERE model IN ('model-0', 'model-3') "
        "GROUP BY prompt_id ORDER BY prompt_id LIMIT 1"
    )[0]
    best = sample_lake.value(
        "SELECT response_id FROM responses WHERE prompt_id = ? AND model = 'model-0'", [prompt]
    )
    location = sample_lake.location
    sample_lake.close()
    (tmp_path / "writer.py").write_text(WRITER)
    said = {"kind": "./writer.py:Writer", "says": {CONTRAST: json.dumps(GOOD)}}
    config = {
        "lake": {"catalog": location.catalog, "data": location.data},
        "engines": {"m": said},
        "rubric": {"extract": {"engine": "m", "consistency": 0}},
    }
    (tmp_path / "curate.yaml").write_text(yaml.safe_dump(config))
    _add_reason(tmp_path, prompt, a, b, "a" if best == a else "b")
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    assert run(app, ["aggregate"]).exit_code == 0
    done = run(app, ["rubric", "extract", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["calls"] == {"contrastive": {"answered": 12}}
    reasons = [text for text in asked(tmp_path) if "It is right, and the other is not." in text]
    assert len(reasons) == 1
    assert "(of a person, to whom the better response was the " in reasons[0]
    people = run(app, ["rubric", "extract", "--labels", "people", "--name", "theirs", "--json"])
    assert json.loads(people.stdout)["pairs"] == 1, people.output
    table = run(app, ["rubric", "extract"])
    assert table.exit_code == 0, table.output
    assert "The response gives the sum." in table.output
    guideline = run(app, ["rubric", "guideline", "theirs"])
    assert "## What must hold\n\n- The response gives the sum.\n" in guideline.output
    missing = run(app, ["rubric", "extract", "--method", "magic"])
    assert missing.exit_code != 0


def _add_reason(folder: Path, prompt: str, a: str, b: str, outcome: str) -> None:
    from curate.data.judgments import JudgmentStatement, build_judgment_table

    statement = JudgmentStatement(
        prompt_id=prompt, annotator_id="person", kind="human", revision="imported", form="pairwise",
        responses=(a, b), outcome=outcome, shown="ab", rationale="It is right, and the other is not.",  # type: ignore[arg-type]
    )  # fmt: skip
    config: Config = load_config(folder / "curate.yaml")
    with Lake.open(config.location) as lake, lake.write("people") as writer:
        writer.append("judgments", build_judgment_table([statement], run_id="people"))


# Proposals --------------------------------------------------------------------------------------------------------


def test_proposals_that_say_the_same_are_one() -> None:
    def propose(text: str, prompt: str, kind: Any = "principle") -> Proposal:
        return Proposal(text, kind, "contrastive", (prompt,))

    from collections import Counter

    dropped: Counter[str] = Counter()
    cleaned = clean_proposals(
        [
            propose("1. The response gives a source.", "p1", "hard"),
            propose("The response  gives a source", "p2"),
            propose("The response gives one source.", "p2"),
            propose("The response is short.", "p3"),
            propose("Short.", "p3"),
            propose("The response is better than the other.", "p3"),
            propose("The response goes on and on and " * 9, "p3"),
        ],
        dropped,
        longest=240,
    )
    assert dict(dropped) == {"cut off": 1, "no sentence": 1, "restates the label": 1}
    merged = merge_proposals(cleaned)
    assert [(each.text, each.support, each.kind) for each in merged] == [
        ("The response gives a source.", 2, "principle"),
        ("The response gives one source.", 1, "principle"),
        ("The response is short.", 1, "principle"),
    ]
    assert merge_proposals([]) == []
