"""Inputs of the shapes of real public files, with the mappings of users: what each comes in as, or why it is refused.

A folder of `cases` has the files, one or more mappings (`curate.yaml` as a user wrote it, `mapped.yaml` as the language
says it today), and in `expected.yaml` what is read with each: turns, verdicts, and what goes into quarantine.
`python -m tests.ingest.test_cases NAME` prints what is read now.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from curate.cli.app import app
from curate.cli.opening import load_config, open_lake
from curate.lake.lake import Lake

CASES = Path(__file__).parent / "cases"
NAMES = sorted(folder.name for folder in CASES.iterdir() if folder.is_dir())
MAPPINGS = [
    (name, mapping)
    for name in NAMES
    for mapping in yaml.safe_load((CASES / name / "expected.yaml").read_text(encoding="utf-8"))
]


def read_case(folder: Path, mapping: str) -> dict[str, Any]:
    """Ingest a copy of a case with one of its mappings, and say what the lake holds then."""
    result = CliRunner().invoke(app, ["ingest", "--config", str(folder / mapping)])
    said = " ".join(f"{result.output} {result.exception or ''}".split())
    read: dict[str, Any] = {}
    if result.exit_code != 0:
        read["refused"] = said.replace(f"{folder}/", "").removeprefix("error: ").strip()
    try:
        settings = load_config(folder / mapping)
    except Exception:
        return read
    with open_lake(settings) as lake:
        read["prompts"] = sorted(list_prompts(lake))
        read["says"] = sorted(list_statements(lake))
        read["quarantine"] = [
            list(row) for row in lake.rows("SELECT line, reason FROM quarantine ORDER BY ALL")
        ]
    if read["quarantine"]:  # it is read to its end; a command that could use no row fails after that
        read.pop("refused", None)
    return {key: value for key, value in read.items() if value}


def list_prompts(lake: Lake) -> list[str]:
    """Write each prompt with its answers on one line."""
    lines = []
    for prompt, messages, reference, tools in lake.rows(
        "SELECT prompt_id, messages, reference, tools FROM prompts"
    ):
        answers = lake.rows("SELECT model, messages FROM responses WHERE prompt_id = ?", [prompt])
        written = sorted(
            f"{model}: {write_turns(turns)}" if model else write_turns(turns) for model, turns in answers
        )
        more = (f" [reference {reference}]" if reference else "") + (" [tools]" if tools else "")
        lines.append(f"{write_turns(messages, roles=True)}{more} -> {' | '.join(written)}")
    return lines


def list_statements(lake: Lake) -> list[str]:
    """Write each judgment on one line: who says that what is better than what, and by how much."""
    texts = {
        key: write_turns(turns) for key, turns in lake.rows("SELECT response_id, messages FROM responses")
    }
    rows = lake.rows(
        """SELECT annotator_id, kind, form, response_a, response_b, outcome, shown, p_a, score,
        rationale, aspect, tied_as FROM judgments"""
    )
    lines = []
    for who, kind, form, a, b, outcome, shown, p_a, score, rationale, aspect, tied_as in rows:
        first, second = texts[a], texts.get(b, "")
        if form == "pairwise" and (outcome == "b" or (outcome != "a" and second < first)):
            first, second, outcome = second, first, {"b": "a"}.get(outcome, outcome)
            shown = {"ab": "ba", "ba": "ab"}.get(shown)
            p_a, score = None if p_a is None else 1 - p_a, None if score is None else -score
        sign = {"a": ">", "tie": "="}.get(outcome, outcome)
        what = f"{first} {sign} {second}" if form == "pairwise" else first
        details = [
            f"by {score:g}" if form == "pairwise" and score is not None else None,
            f"{score:g}" if form == "pointwise" else None,
            tied_as,
            f"p {p_a:g}" if p_a is not None else None,
            f"shown {shown}" if shown else None,
            f"about {aspect}" if aspect else None,
            f"because {rationale}" if rationale else None,
        ]
        person = re.sub(r"person-[0-9a-f]+", "PSEUDONYM", who)
        lines.append(f"{kind} {person}: {', '.join([what, *filter(None, details)])}")
    return lines


def write_turns(messages: list[dict[str, Any]], *, roles: bool = False) -> str:
    turns = []
    for message in messages:
        parts = [
            part["text"] if part["text"] is not None else f"<{part['uri']}>" for part in message["content"]
        ]
        calls = [f"{call['name']}({call['arguments']})" for call in message["tool_calls"]]
        text = " ".join([*parts, *calls]).replace("\n", "/")
        turns.append(f"{message['role']}: {text}" if roles or len(messages) > 1 else text)
    return " + ".join(turns)


@pytest.mark.parametrize(("name", "mapping"), MAPPINGS)
def test_a_case_is_read_rightly_or_refused(name: str, mapping: str, tmp_path: Path) -> None:
    expected = yaml.safe_load((CASES / name / "expected.yaml").read_text(encoding="utf-8"))[mapping]
    shutil.copytree(CASES / name, tmp_path / name)
    assert read_case(tmp_path / name, mapping) == expected


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        found = {}
        for file in sorted((CASES / wanted).glob("*.yaml")):
            if file.name != "expected.yaml":
                with tempfile.TemporaryDirectory() as folder:
                    shutil.copytree(CASES / wanted, Path(folder) / wanted)
                    found[file.name] = read_case(Path(folder) / wanted, file.name)
        print(yaml.safe_dump(found, allow_unicode=True, sort_keys=False, width=100_000), end="")
