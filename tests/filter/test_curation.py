"""Filters that read languages, personal data and verdicts, through `curate` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from curate.cli.app import app
from curate.config.project import load_config
from curate.core.errors import CurateError
from curate.lake.lake import Lake
from tests.engine.local.name_model import write_name_model

JUDGES = "judge: {judges: [{name: long, kind: rule, rule: length}]}\nexport: [{path: out, jsonl: true}]\n"
LONG = "An answer that is a good deal longer than the other one, since it goes on and on."


def call(project: Path, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "-c", str(project / "curate.yaml")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def query(project: Path, text: str) -> list[tuple[Any, ...]]:
    with Lake.open(load_config(project / "curate.yaml").location, read_only=True) as lake:
        return lake.rows(text)


def write_project(folder: Path, rows: list[dict[str, Any]], filters: str, rest: str = JUDGES) -> Path:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    text = f"ingest: [{{source: rows.jsonl}}]\nfilter: [{filters}]\n{rest}"
    (folder / "curate.yaml").write_text(text, encoding="utf-8")
    return folder


def make_row(key: str, prompt: str, *texts: str, **more: Any) -> dict[str, Any]:
    responses = [
        {"id": f"{key}{place}", "text": text, "model": f"m{place}"} for place, text in enumerate(texts)
    ]
    return {"id": key, "prompt": prompt, "responses": responses, **more}


def test_prompts_in_other_languages_are_left_out(tmp_path: Path) -> None:
    pytest.importorskip("py3langid", reason="needs curate[language]")
    prompts = {
        "en": "Name a fruit that is red and grows on trees in the north of Europe.",
        "de": "Wie heißt der längste Fluss in Deutschland, und wo mündet er ins Meer?",
        "fr": "Quelle est la plus haute montagne de France, et qui l'a gravie en premier ?",
        "ja": "フランスの首都はどこですか。理由も教えてください。",
        "short": "K2?",
        "code": "```python\ndef f(x):\n    return x + 1\n```",
    }
    rows = [make_row(key, prompt, "An answer.", LONG) for key, prompt in prompts.items()]
    project = write_project(tmp_path, rows, "{kind: language, of: prompt, languages: [en, de]}")
    call(project, "run")
    left_out = query(
        project, "SELECT key, reason FROM filter_decisions JOIN prompts USING (prompt_id) ORDER BY 1"
    )
    assert left_out == [("fr", "is in another language: fr"), ("ja", "is in another language: ja")]
    assert len(read_export(project)) == 4
    write_project(tmp_path, rows, "{kind: language, of: prompt, languages: [english]}")
    with pytest.raises(CurateError, match="knows no language english: write ISO 639 codes"):
        call(project, "filter")


def read_export(project: Path) -> list[dict[str, Any]]:
    (file,) = (project / "out").rglob("*.jsonl")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_personal_data_are_masked_in_exports_and_kept_in_the_lake(tmp_path: Path) -> None:
    rows = [
        make_row("q1", "I am ada@lovelace.org. Who are you?", "Call me at +49 30 1234 5678, please.", LONG),
        make_row("q2", "Pay with 4539 1488 0343 6467?", f"No, DE89 3704 0044 0532 0130 00. {LONG}", "No."),
        make_row("q3", "Is AKIAQ3EGXVHPZ7RT4LMN a key?", "It is one.", LONG),
    ]
    forms = "action: mask, forms: [email, phone, card, iban, key]"
    filters = f"{{kind: personal-data, {forms}}}, {{name: asked, kind: personal-data, of: prompt, {forms}}}"
    project = write_project(tmp_path, rows, filters)
    call(project, "ingest")
    assert "(masked in exports)" in call(project, "filter")
    call(project, "run")
    text = json.dumps(read_export(project))
    assert all(mask in text for mask in ("[EMAIL]", "[PHONE]", "[CARD]", "[IBAN]", "[KEY]"))
    assert not any(value in text for value in ("lovelace", "1234", "4539", "DE89", "AKIA"))
    assert len(read_export(project)) == 3
    assert query(
        project, "SELECT count(*) FROM prompts WHERE to_json(messages)::VARCHAR LIKE '%lovelace%'"
    ) == [(1,)]
    with pytest.raises(CurateError, match="also writes what judges say"):
        call(project, "export", "-f", "parquet", str(project / "tables"))
    write_project(tmp_path, rows, "{kind: length}")  # without the filter the texts are as they were
    call(project, "run")
    assert "lovelace" in json.dumps(read_export(project))


def test_names_of_people_are_masked_with_what_has_a_form(tmp_path: Path) -> None:
    write_name_model(tmp_path / "names")
    rows = [
        make_row("q1", "Who was Ada Lovelace?", "Ada, ada@lovelace.org: not Adam.", LONG),
        make_row("q2", "Who is in Paris?", f"The lady. {LONG}", "Grace Hopper was.", reference="Grace"),
    ]
    options = "kind: names, model: names, action: mask"
    filters = f"{{{options}}}, {{name: asked, of: prompt, {options}}}, {{kind: personal-data, action: mask}}"
    project = write_project(tmp_path, rows, filters)
    call(project, "run")
    texts = {
        text["content"]
        for row in read_export(project)
        for text in (*row["prompt"], *row["chosen"], *row["rejected"])
    }
    assert texts == {
        "Who was [NAME]?",
        "[NAME], [EMAIL]: not Adam.",
        LONG,
        "Who is in Paris?",
        f"The lady. {LONG}",
        "[NAME] was.",
    }
    assert query(
        project, "SELECT reason, count(*) FROM filter_decisions WHERE other LIKE '%\"%' GROUP BY 1"
    ) == [("names people", 3)]
    runs = "SELECT DISTINCT run_id FROM filter_decisions WHERE \"filter\" = 'names'"
    before = query(project, runs)
    call(project, "filter")
    assert query(project, runs) == before
    write_name_model(tmp_path / "names", positions=32)  # another model of that name decides anew
    call(project, "filter")
    assert query(project, runs) != before


def test_the_mix_has_the_shares_that_are_asked_for(tmp_path: Path) -> None:
    rows = [
        make_row(
            f"{category}{number}", f"{category} {number}?", "One.", "Another.", meta={"category": category}
        )
        for category, count in (("math", 12), ("code", 30), ("chat", 50), ("poems", 8))
        for number in range(count)
    ]
    project = write_project(tmp_path, rows, "{kind: cap, by: category, shares: {math: 0.4, code: 0.4}}")
    call(project, "ingest")
    call(project, "filter")
    kept = (
        "SELECT json_extract_string(meta, '$.category'), count(*) "
        "FROM prompts ANTI JOIN filter_decisions USING (prompt_id) GROUP BY 1"
    )
    assert {**dict(query(project, kept)), "chat": 0, "poems": 0} == {
        "math": 12,
        "code": 12,
        "chat": 0,
        "poems": 0,
    }
    assert sum(count for _, count in query(project, kept)) == 30  # the others share the rest, a fifth
    write_project(tmp_path, rows, "{kind: cap, by: category, shares: {maths: 0.4}}")
    with pytest.raises(CurateError, match="to mix in maths, but nothing has that category"):
        call(project, "filter")
    write_project(tmp_path, rows, "{kind: cap, by: model, most: 30}")
    call(project, "filter")
    models = (
        "SELECT model, count(*) FROM responses ANTI JOIN filter_decisions ON item_id = response_id GROUP BY 1"
    )
    assert sorted(query(project, models)) == [("m0", 30), ("m1", 30)]


def write_votes(folder: Path, rows: list[tuple[str, str, str]]) -> None:
    """Write judgments: prompt, annotator, winner; a is the response of m0."""
    lines = [
        {"prompt": key, "a": f"{key}0", "b": f"{key}1", "annotator": name, "kind": "llm", "winner": winner}
        for key, name, winner in rows
    ]
    (folder / "votes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


WITH_VOTES = "export: [{path: out, jsonl: true, routed: true}]\n"


def write_voted(folder: Path, rows: list[dict[str, Any]], filters: str) -> Path:
    write_project(folder, rows, filters, WITH_VOTES)
    config = (folder / "curate.yaml").read_text(encoding="utf-8")
    config = config.replace(
        "{source: rows.jsonl}", "{source: rows.jsonl}, {source: votes.jsonl, kind: judgments}"
    )
    (folder / "curate.yaml").write_text(config, encoding="utf-8")
    return folder


def test_prompts_that_tell_nothing_are_left_out_once_the_panel_has_spoken(tmp_path: Path) -> None:
    rows = [
        make_row(key, f"Question {key}?", f"First {key}.", f"Second {key}.")
        for key in ("easy", "split", "tie")
    ]
    votes = [(key, f"judge {number}", "a") for key in ("easy", "split") for number in range(2)]
    votes += [("split", f"judge {number}", "b") for number in (2, 3)]
    votes += [("tie", f"judge {number}", "tie") for number in range(2)]
    write_votes(tmp_path, votes)
    project = write_voted(tmp_path, rows, "{kind: informativeness}")
    call(project, "run")
    decisions = "SELECT key, reason, score FROM filter_decisions JOIN prompts USING (prompt_id) ORDER BY 1"
    assert query(project, decisions) == [
        ("split", "has little discriminability", 0.0),
        ("tie", "has little discriminability", 0.0),
    ]
    write_voted(tmp_path, rows, "{kind: informativeness, least_discriminability: 0, most_spread: 0.5}")
    call(project, "filter")
    assert query(project, decisions) == [("split", "has too much spread", 1.0)]
    write_voted(tmp_path, rows, "{kind: informativeness, least_discriminability: 0, most_hardness: 0.5}")
    call(project, "filter")
    assert query(project, decisions) == [
        ("split", "has too much hardness", 1.0),
        ("tie", "has too much hardness", 1.0),
    ]


def test_judges_verdicts_are_filtered_within_one_run(tmp_path: Path) -> None:
    rows = [
        make_row("same", "Equal?", "One.", "Two."),
        make_row("other", "Unequal?", "One.", "A longer one."),
    ]
    project = write_project(tmp_path, rows, "{kind: informativeness}")
    call(project, "run")
    assert [row["chosen"][0]["content"] for row in read_export(project)] == ["A longer one."]
    reasons = "SELECT key, reason FROM filter_decisions JOIN prompts USING (prompt_id)"
    assert query(project, reasons) == [("same", "has little discriminability")]
    assert "nothing to do" in call(project, "filter")


def test_a_topic_in_which_one_model_always_wins_is_reported(tmp_path: Path) -> None:
    rows, votes = [], []
    for topic in ("sports", "cars"):
        for number in range(60):
            key = f"{topic}{number}-"
            rows.append(
                make_row(key, f"{topic} {number}?", f"A {key}.", f"B {key}.", meta={"category": topic})
            )
            fair = "a" if number % 2 else "b"
            votes += [(key, "judge", "a" if topic == "cars" else fair)]
            votes += [(key, "other", "a" if topic == "cars" else fair)]
    write_votes(tmp_path, votes)
    project = write_voted(tmp_path, rows, "{kind: one-sided}")
    call(project, "ingest")
    assert "one-sided 60 (reported only)" in " ".join(call(project, "filter").split())
    reasons = "SELECT DISTINCT reason, other, action, target FROM filter_decisions"
    assert query(project, reasons) == [
        ("m0 wins 60 of 60 pairs in rows.jsonl and cars", "m0", "report", "pair")
    ]


def test_an_annotator_who_contradicts_all_others_in_one_topic_is_left_out(tmp_path: Path) -> None:
    rows, votes = [], []
    for topic in ("sports", "cars"):
        for number in range(60):
            key = f"{topic}{number}-"
            rows.append(
                make_row(key, f"{topic} {number}?", f"A {key}.", f"B {key}.", meta={"category": topic})
            )
            fair, unfair = ("a", "b") if number % 2 else ("b", "a")
            votes += [(key, name, fair) for name in ("ann", "ben")]
            votes += [(key, "mole", unfair if topic == "cars" else fair)]
    write_votes(tmp_path, votes)
    project = write_voted(tmp_path, rows, "{kind: one-sided, action: drop}")
    call(project, "ingest")
    call(project, "aggregate")
    call(project, "filter")
    reasons = "SELECT DISTINCT reason FROM filter_decisions"
    assert query(project, reasons) == [
        ("mole contradicts the others in 60 of 60 pairs in rows.jsonl and cars",)
    ]
    call(project, "export")
    assert {row["prompt"][0]["content"].split()[0] for row in read_export(project)} == {"sports"}
