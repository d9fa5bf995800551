"""A judge that rates several aspects: each is a judgment about that aspect, the response's own rating another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.judge.configured import Panel
from tests.rubric.samples import run

MakeConfig = Callable[[str], Config]

PROJECT = """
engines:
  m: {kind: "./speaking.py:Speaking", able: [choose, generate]}
ingest: [{source: rows.jsonl}]
judge:
  judges:
  - {name: sides, kind: pointwise, engine: m, aspects: {correct: "is it true?", short: "is it short?"}}
aggregate: {aspects: all}
export:
- {path: out, format: {kind: trl-preference, aspects: [correct, short]}}
"""


def write(folder: Path, make_config: MakeConfig) -> None:
    rows = [
        {
            "id": str(number),
            "prompt": f"Question {number}?",
            "responses": [{"id": "x", "text": "Long and right."}, {"id": "y", "text": "Wrong."}],
        }
        for number in range(6)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    # The first word that fits decides, so each aspect's beginning of JSON is looked at together with an answer.
    (folder / "speaking.py").write_text(
        (folder / "speaking.py")
        .read_text()
        .replace(
            "choice = next((choice for word, choice in self.options.picks.items() if word in heard), None)",
            "correct, long = '{\"correct\"' in heard[-16:], 'Long and' in heard\n"
            "        choice = '1' if correct != long else '5' if correct else '4'",
        )
    )
    make_config(PROJECT)


def test_aspects_land_as_judgments_and_reach_labels_exports_and_the_report(
    tmp_path: Path,
    make_config: MakeConfig,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_config("{}")
    write(tmp_path, make_config)
    monkeypatch.chdir(tmp_path)
    for stage in ("ingest", "judge", "aggregate", "export", "report"):
        code, _, err = run(capsys, monkeypatch, stage)
        assert code == 0, (stage, err)

    def ask(query: str) -> list[dict[str, object]]:
        code, out, err = run(capsys, monkeypatch, "sql", query, "-f", "json")
        assert code == 0, err
        return list(json.loads(out))

    counts = ask(
        "SELECT coalesce(aspect, 'whole') AS about, count(*) AS n, sum(tokens_in > 0)::INT AS paid, "
        "count(DISTINCT judgment_id) AS ids FROM judgments GROUP BY ALL ORDER BY ALL"
    )
    assert [list(row.values()) for row in counts] == [
        ["correct", 12, 0, 12],
        ["short", 12, 0, 12],
        ["whole", 12, 12, 12],
    ]
    code, out, _ = run(capsys, monkeypatch, "status", "--json")
    assert code == 0
    assert '"answered": 12' in out
    code, out, err = run(capsys, monkeypatch, "judge", "--json")  # all is known: nothing is asked again
    assert code == 0, err
    assert json.loads(out)["stages"][0]["rows_in"] == 0
    labels = ask(
        'SELECT aspect, r."key" AS better FROM aspect_preferences AS p JOIN responses AS r '
        "ON r.response_id = if(outcome = 'a', response_a, response_b) GROUP BY ALL ORDER BY ALL"
    )
    assert [list(row.values()) for row in labels] == [["correct", "x"], ["short", "y"]]
    aspects = pq.read_table(tmp_path / "out" / "data")["aspects"].to_pylist()
    assert len(aspects) == 6
    assert all(row["correct"] > 0.5 > row["short"] for row in aspects)
    page = (tmp_path / "report.html").read_text()
    assert "Judgments are about 2 aspects" in page


def test_an_aspect_without_a_name_is_refused(make_config: MakeConfig) -> None:
    config = make_config(PROJECT.replace('correct: "is', '"": "is'))
    with pytest.raises(CurateError, match="an aspect needs a name"), Panel(config):
        pass
