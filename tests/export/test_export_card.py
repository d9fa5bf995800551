"""The card: front matter that loaders accept, figures that are those of the lake, text that cannot break it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from curate.config.export import ExportEntry
from curate.config.project import Config
from curate.export import write_export
from curate.lake.lake import Lake


def card_of(lake: Lake, folder: Path, **settings: Any) -> tuple[dict[str, Any], str]:
    write_export(lake, Config(), ExportEntry(path=str(folder), **settings))
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, {"license": "other", "license_name": "unspecified"}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("CC-BY-NC-4.0", {"license": "cc-by-nc-4.0"}),
        ("My Company's: Licence", {"license": "other", "license_name": "my-company-s-licence"}),
    ],
)
def test_license(labelled_lake: Lake, tmp_path: Path, name: str | None, expected: dict[str, str]) -> None:
    front, text = card_of(labelled_lake, tmp_path / "out", license=name)
    assert {key: front[key] for key in front if key.startswith("license")} == expected
    assert ("No licence was named" in text) == (name is None)


def test_figures(labelled_lake: Lake, tmp_path: Path) -> None:
    labelled_lake.rows("UPDATE lake.preferences SET outcome = 'tie' WHERE confidence = 0.8")
    _, text = card_of(labelled_lake, tmp_path / "out")
    assert "| ingest | prompts | 12 |" in text
    assert "| judge | judgments | 432 |" in text
    assert "| aggregate | of these ties | 12 |" in text
    assert "| export | pairs considered | 72 |" in text
    assert "| export | left out: tie | 12 |" in text
    assert "| export | pairs exported | 60 |" in text
    right = "SELECT avg(agrees::INTEGER) FROM (SELECT j.outcome = p.outcome AS agrees FROM judgments AS j "
    right += "JOIN preferences AS p USING (response_a, response_b) WHERE annotator_id = 'fair' AND p.outcome <> 'tie')"
    assert f"| fair | llm | 144 | {labelled_lake.value(right):.1%} | 0.0% | 0.0% |" in text
    assert "| 0.6 – 0.7 | 36 |" in text  # responses next to each other: 3 pairs × 12 prompts
    assert "| 0.7 – 0.8 | 24 |" in text


def test_names_cannot_break_the_table(labelled_lake: Lake, tmp_path: Path) -> None:
    labelled_lake.rows(
        "UPDATE lake.judgments SET annotator_id = 'x | <script>alert(1)</script>\n# y' WHERE annotator_id = 'good'"
    )
    _, text = card_of(labelled_lake, tmp_path / "out")
    assert r"| x \| &lt;script&gt;alert(1)&lt;/script&gt; \# y | llm |" in text
    assert "<script>" not in text


def test_raw_tables_are_configurations_of_their_own(labelled_lake: Lake, tmp_path: Path) -> None:
    front, text = card_of(labelled_lake, tmp_path / "out", format="parquet")
    assert [each["config_name"] for each in front["configs"]] == [
        "prompts",
        "responses",
        "judgments",
        "preferences",
        "rankings",
        "annotators",
    ]
    assert 'load_dataset("path/of/this/folder", "judgments", split="train")' in text


def test_the_claim_is_in_plain_words(labelled_lake: Lake, tmp_path: Path) -> None:
    _, text = card_of(labelled_lake, tmp_path / "before")
    assert "have not been held against people's" in text
    claim = "Guarantee: 40 of 72 pairs are accepted."
    labelled_lake.rows(
        "INSERT INTO lake.assessments (holds, claim, labels, tested, calibration, ece, iteration) "
        f"VALUES (true, '{claim}', 30, 30, 'temperature', 0.021, 0)"
    )
    labelled_lake.rows(
        "INSERT INTO lake.guarantees (stratum, pairs, accepted, threshold, labels, tested, errors, upper, iteration) "
        "VALUES ('all', 72, 40, 0.81, 30, 25, 0, 0.088, 0)"
    )
    _, text = card_of(labelled_lake, tmp_path / "after")
    assert claim in text
    assert "| all | 72 | 40 | 81.0% | 30 | 25 | 0 | 8.8% |" in text
    assert "does not say which of them are wrong" in text
    assert "calibration error of the confidence is 2.1%" in text
    assert "routed: true" not in text
    _, text = card_of(labelled_lake, tmp_path / "routed", routed=True)
    assert "routed: true" in text
