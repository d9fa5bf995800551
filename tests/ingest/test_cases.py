"""Inputs of the shapes of real public files, with the mappings of users: what each comes in as, or why it is refused.

A folder of `cases` has the files, one or more mappings (`curate.yaml` as a user wrote it, `mapped.yaml` as the language
says it today), and in `expected.yaml` what is read with each: turns, verdicts, and what goes into quarantine.
`python -m tests.ingest.test_cases NAME …` prints what is read now.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from curate.cli.app import app
from curate.cli.opening import load_config, open_lake
from curate.config.ingest import Source
from curate.core.errors import CurateError
from curate.ingest.context import check_source
from curate.ingest.decoders import make_judgments_decoder, make_responses_decoder
from curate.ingest.inputs import Input, locate_inputs
from curate.ingest.rejection import Rejection, RowError
from curate.ingest.rows import JudgmentRow, Row, Verdict
from curate.ingest.stage import check_repeated_files
from curate.records import Message, text_parts

CASES = Path(__file__).parent / "cases"
NAMES = sorted(folder.name for folder in CASES.iterdir() if folder.is_dir())


def list_mappings() -> Iterator[tuple[str, str]]:
    for name in NAMES:
        for mapping in yaml.safe_load((CASES / name / "expected.yaml").read_text(encoding="utf-8")):
            yield name, mapping


class Readout:
    """What is read of a case, as lines that people read."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.prompts: dict[str, dict[str, None]] = {}
        self.says: list[str] = []
        self.quarantine: list[list[object]] = []

    def add_source(self, inputs: list[Input]) -> None:
        try:
            check_source(inputs)
            for item in inputs:
                self.add_input(item)
        except CurateError as error:
            self.refused.append(str(error))

    def add_input(self, item: Input) -> None:
        is_judgments = item.source.kind == "judgments"
        make = make_judgments_decoder if is_judgments else make_responses_decoder
        decode: Any = make(item.source, name=item.name)
        for number, raw in item.read():
            if isinstance(raw, Rejection):
                self.quarantine.append([number, raw.reason])
                continue
            try:
                found = decode(raw)
            except RowError as error:
                self.quarantine.append([number, error.reason])
                continue
            for row in found if isinstance(found, list) else [found]:
                if is_judgments:
                    self.add_judgment(row)
                else:
                    self.add_row(row)

    def add_row(self, row: Row) -> None:
        more = (f" [reference {row.reference}]" if row.reference else "") + (" [tools]" if row.tools else "")
        answers = self.prompts.setdefault(f"{write_turns(row.prompt, roles=True)}{more}", {})
        texts = [write_turns(response.answer) for response in row.responses]
        for response, text in zip(row.responses, texts, strict=True):
            answers[f"{response.model}: {text}" if response.model else text] = None
        self.says += [write_verdict(verdict, texts[verdict.a], texts[verdict.b]) for verdict in row.verdicts]
        for rating in row.ratings:
            about = f", about {rating.aspect}" if rating.aspect else ""
            self.says.append(
                f"{rating.kind} {rating.annotator}: {rating.score:g} for {texts[rating.response]}{about}"
            )

    def add_judgment(self, row: JudgmentRow) -> None:
        self.says.append(f"{row.prompt}: {write_verdict(row, row.a, row.b)}")

    def build(self) -> dict[str, Any]:
        read = {
            "refused": self.refused,
            "prompts": sorted(
                f"{prompt} -> {' | '.join(sorted(answers))}" for prompt, answers in self.prompts.items()
            ),
            "says": sorted(self.says),
            "quarantine": self.quarantine,
        }
        return {key: value for key, value in read.items() if value}


def read_case(folder: Path, mapping: str) -> dict[str, Any]:
    """Read a case with one of its mappings."""
    readout = Readout()
    try:
        config = load_config(folder / mapping)
        sources: Iterable[Source] = config.ingest
        check_repeated_files(config.ingest)
    except CurateError as error:
        readout.refused, sources = [str(error).replace(f"{folder}/", "")], []
    for source in sources:
        try:
            readout.add_source(locate_inputs(source, config))
        except CurateError as error:
            readout.refused.append(str(error))
    readout.refused = [sentence.replace(f"{folder}/", "") for sentence in readout.refused]
    return readout.build()


def write_verdict(verdict: Verdict | JudgmentRow, a: str, b: str) -> str:
    sign = {"a": ">", "b": "<", "tie": "="}.get(verdict.winner, verdict.winner)
    details = [
        f"by {verdict.margin:g}" if verdict.margin is not None else None,
        verdict.tied_as,
        f"p {verdict.p_a:g}" if verdict.p_a is not None else None,
        f"shown {verdict.shown}" if verdict.shown else None,
        f"about {verdict.aspect}" if verdict.aspect else None,
        f"because {verdict.rationale}" if verdict.rationale else None,
    ]
    return f"{verdict.kind} {verdict.annotator}: {', '.join([f'{a} {sign} {b}', *filter(None, details)])}"


def write_turns(said: Any, *, roles: bool = False) -> str:
    messages = (Message(role="user", content=text_parts(said)),) if isinstance(said, str) else said
    turns = []
    for message in messages:
        content = text_parts(message.content) if isinstance(message.content, str) else message.content or ()
        parts = [part.text if part.text is not None else f"<{part.uri}>" for part in content]
        calls = [f"{call.name}({call.arguments})" for call in message.tool_calls]
        text = " ".join([*parts, *calls]).replace("\n", "/")
        turns.append(f"{message.role}: {text}" if roles or len(messages) > 1 else text)
    return " + ".join(turns)


@pytest.mark.parametrize(("name", "mapping"), list(list_mappings()))
def test_a_case_is_read_rightly_or_refused(name: str, mapping: str) -> None:
    expected = yaml.safe_load((CASES / name / "expected.yaml").read_text(encoding="utf-8"))[mapping]
    assert read_case(CASES / name, mapping) == expected


SAID = """SELECT kind, annotator_id, form, outcome, shown, score, aspect, tied_as FROM judgments
    ORDER BY form, aspect NULLS FIRST, outcome, shown, score"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("arena_140k_parts", [("human", "rows.jsonl", "pairwise", "tie", None, None, None, "both-bad")]),
        (
            "safe_rlhf",
            [
                ("human", "rows.jsonl", "pairwise", "b", None, None, None, None),
                ("human", "rows.jsonl", "pairwise", "a", None, None, "safety", None),
            ],
        ),
        (
            "kto_label",
            [
                ("imported", "rows.jsonl", "pointwise", "a", None, 0.0, None, None),
                ("imported", "rows.jsonl", "pointwise", "a", None, 1.0, None, None),
            ],
        ),
    ],
)
def test_what_the_command_takes_in_is_in_the_lake(
    name: str, said: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    shutil.copytree(CASES / name, tmp_path / name)
    mapped = tmp_path / name / "mapped.yaml"
    config = mapped if mapped.exists() else tmp_path / name / "curate.yaml"
    result = CliRunner().invoke(app, ["ingest", "--config", str(config)])
    assert result.exit_code == 0, result.output
    with open_lake(load_config(config)) as lake:
        assert lake.rows(SAID) == said


def test_a_criterion_is_no_vote_on_the_label(tmp_path: Path) -> None:
    shutil.copytree(CASES / "safe_rlhf", tmp_path / "x")
    config = str(tmp_path / "x" / "mapped.yaml")
    for command in ("ingest", "aggregate"):
        result = CliRunner().invoke(app, [command, "--config", config])
        assert result.exit_code == 0, result.output
    with open_lake(load_config(Path(config))) as lake:
        labels = lake.rows("SELECT status, outcome, n_judgments FROM preferences")
        best = lake.value(
            "SELECT messages[1].content[1].text FROM responses JOIN rankings USING (response_id) WHERE rank = 1"
        )
    assert labels == [("verified", labels[0][1], 1)]
    assert best == "Use a pick."


if __name__ == "__main__":
    for wanted in sys.argv[1:] or NAMES:
        found = {
            file.name: read_case(CASES / wanted, file.name)
            for file in sorted((CASES / wanted).glob("*.yaml"))
            if file.name != "expected.yaml" and re.search("ingest", file.read_text(encoding="utf-8"))
        }
        print(
            f"# {wanted}\n{yaml.safe_dump(found, allow_unicode=True, sort_keys=False, width=100_000)}", end=""
        )
