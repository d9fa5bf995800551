"""The page: self-contained, whole without data, safe with any text, written once."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.lake.lake import Lake
from curate.report import write_report, write_report_if_stale
from curate.report.facts import gather_facts

CONFIG = Config()
SECTIONS = (
    "flow",
    "panel",
    "agreement",
    "graph",
    "guarantee",
    "confidence",
    "models",
    "evaluation",
    "cost",
    "quarantine",
    "provenance",
)
VOID = {"meta", "br", "link", "img", "hr", "input"}


class Outline(HTMLParser):
    """Tags, attributes and texts of a page; fails where tags do not close in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page_of(lake: Lake, folder: Path, config: Config = CONFIG) -> str:
    return write_report(lake, config, path=folder / "report.html").read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_elsewhere(full_page: str) -> None:
    page, outline = full_page, Outline(full_page)
    assert not re.search(r"https?:|//\w|@import|url\(", page)
    assert not {"script", "link", "iframe", "object", "img"} & {tag for tag, _ in outline.tags}
    assert not [name for _, attributes in outline.tags for name in attributes if name.startswith("on")]
    targets = {attributes["href"] for tag, attributes in outline.tags if tag == "a"}
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert targets == {f"#{name}" for name in (*SECTIONS, "people", "comparison")}  # this lake has both
    assert len(ids) == len(set(ids))
    assert {f"#{each}" for each in ids} >= targets
    assert len(page) < 1_500_000


def test_every_chart_has_a_name_and_a_table(full_page: str) -> None:
    outline = Outline(full_page)
    charts = [attributes for tag, attributes in outline.tags if attributes.get("class") == "chart"]
    assert len(charts) == 8
    assert sum(tag == "svg" for tag, _ in outline.tags) == 8
    for chart in charts:
        assert chart["role"] == "img"
        assert "table below" in (chart["aria-label"] or "")
    assert sum(tag == "caption" for tag, _ in outline.tags) == sum(tag == "table" for tag, _ in outline.tags)


def test_the_colours_are_the_pages(full_page: str) -> None:
    """Nothing in a chart has a colour of its own, so that dark and print styles reach all of it."""
    painted = re.findall(r'(?:fill|stroke)="([^"]+)"', full_page)
    assert painted
    assert {each for each in painted if not each.startswith("var(--")} <= {"none", "transparent"}
    defined = set(re.findall(r"(--\w+):", full_page))
    assert {each[4:-1] for each in painted if each.startswith("var(")} <= defined


def test_an_empty_lake_says_what_to_do(lake: Lake, tmp_path: Path) -> None:
    outline = Outline(page_of(lake, tmp_path))
    assert {attributes.get("id") for tag, attributes in outline.tags if tag == "section"} == set(SECTIONS)
    for command in ("curate run", "curate judge", "curate aggregate", "curate train", "curate evaluate"):
        assert command in outline.text
    assert "svg" not in {tag for tag, _ in outline.tags}


def test_a_lake_before_aggregation(sample_lake: Lake, tmp_path: Path) -> None:
    outline = Outline(page_of(sample_lake, tmp_path))
    assert "3 annotators made 432 judgments; none failed." in outline.text
    assert "There are no labels yet" in outline.text
    assert sum(attributes.get("class") == "chart" for _, attributes in outline.tags) == 2  # panel, agreement


def test_text_of_users_is_only_text(full_lake: Lake, tmp_path: Path) -> None:
    evil = "</style></svg><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\x1b"
    for table, column, where in (("prompts", "messages", "true"), ("responses", "messages", "true")):
        shape = {"type": "text", "text": evil + "\x00", "uri": None, "sha256": None}
        value = [{"role": "user" if table == "prompts" else "assistant", "content": [shape]}]
        full_lake.rows(f"UPDATE lake.{table} SET {column} = ? WHERE {where}", [value])
    for table, column, where in (
        ("responses", "model", "model = 'atlas-70b'"),
        ("judgments", "annotator_id", "annotator_id = 'contrary'"),
        ("annotators", "annotator_id", "annotator_id = 'contrary'"),
        ("runs", "part", "part = 'contrary'"),
        ("quarantine", "reason", "line = 17"),
        ("quarantine", "raw", "true"),
        ("quarantine", "source", "true"),
        ("evaluations", "subject", "subject = 'panel'"),
        ("evaluations", "benchmark", "benchmark = 'demo gold'"),
    ):
        full_lake.rows(f"UPDATE lake.{table} SET {column} = ? WHERE {where}", [evil])
    config = Config.model_validate({"report": {"title": evil}})
    page = page_of(full_lake, tmp_path, config)
    outline = Outline(page)
    assert not {"script", "img"} & {tag for tag, _ in outline.tags}
    assert not [name for _, attributes in outline.tags for name in attributes if name.startswith("on")]
    assert "\x00" not in page
    assert "\x1b" not in page
    shown = evil.replace("\x1b", "\N{REPLACEMENT CHARACTER}")
    assert outline.text.count(shown) >= 9  # title, texts, names: as they are
    assert shown + "\N{REPLACEMENT CHARACTER}" in outline.text


def test_many_annotators_are_cut_to_a_readable_number(lake: Lake, tmp_path: Path, fill_lake: object) -> None:
    panel = [(f"judge-{number:02}", "llm", 0.6, 0.1, 0.0, 0.0) for number in range(45)]
    fill_lake(lake, prompts=2, panel=panel)  # type: ignore[operator]
    page = page_of(lake, tmp_path)
    assert "the first 40 of 45 annotators" in Outline(page).text
    assert len(page) < 1_500_000


def test_one_snapshot_gives_one_page(full_lake: Lake, tmp_path: Path) -> None:
    first = page_of(full_lake, tmp_path)
    snapshot = full_lake.snapshot()
    full_lake.rows("DELETE FROM lake.judgments WHERE annotator_id = 'contrary'")
    with Lake.open(full_lake.location, snapshot=snapshot) as past:
        (tmp_path / "again").mkdir()
        assert page_of(past, tmp_path / "again") == first
    assert page_of(full_lake, tmp_path) != first


def test_a_page_that_is_current_is_left_alone(full_lake: Lake, tmp_path: Path) -> None:
    target = tmp_path / "new" / "report.html"
    before = full_lake.snapshot()
    first = write_report_if_stale(full_lake, CONFIG, path=target)
    assert (first.skipped, first.note) == (False, str(target))
    inode = target.stat().st_ino
    assert write_report_if_stale(full_lake, CONFIG, path=target).skipped
    assert target.stat().st_ino == inode
    assert full_lake.snapshot() == before  # the report writes nothing to the lake
    assert not write_report_if_stale(
        full_lake, Config.model_validate({"report": {"title": "x"}}), path=target
    ).skipped
    assert [each.name for each in target.parent.iterdir()] == ["report.html"]


def test_the_path_is_that_of_the_configuration(lake: Lake, tmp_path: Path) -> None:
    config = Config.model_validate({"report": {"path": "out/page.html"}})
    object.__setattr__(config, "_folder", tmp_path)
    assert write_report(lake, config) == tmp_path / "out" / "page.html"


def test_only_a_report_is_overwritten(lake: Lake, tmp_path: Path) -> None:
    mine, page = tmp_path / "curate.yaml", tmp_path / "report.html"
    mine.write_text("workspace: .")
    with pytest.raises(CurateError, match=r"curate\.yaml exists and is not a report of curate, .* --force"):
        write_report(lake, CONFIG, path=mine)
    assert mine.read_text() == "workspace: ."
    text = write_report(lake, CONFIG, path=page).read_text(encoding="utf-8")
    assert '<meta name="generator" content="curate ' in text
    page.write_text(
        text.replace('name="generator"', 'name="other"'), encoding="utf-8"
    )  # as before it had one
    write_report(lake, CONFIG, path=page)
    write_report(lake, CONFIG, path=mine, force=True)
    assert "<!DOCTYPE html>" in mine.read_text(encoding="utf-8")


def test_unwritable_paths_are_named(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(CurateError, match="is a folder"):
        write_report(lake, CONFIG, path=tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(CurateError, match="Cannot write"):
        write_report(lake, CONFIG, path=tmp_path / "file" / "report.html")
    assert not list(tmp_path.glob(".report*"))


def test_examples_can_be_left_out(full_lake: Lake, full_page: str, tmp_path: Path) -> None:
    config = Config.model_validate({"report": {"examples": 0}})
    with Lake.open(full_lake.location, read_only=True) as reader:
        assert gather_facts(reader, config).dropped_arcs == []
    assert "strongest evidence" not in page_of(full_lake, tmp_path, config)
    assert "strongest evidence" in full_page


def test_the_guarantee_has_a_section(full_lake: Lake, full_page: str, tmp_path: Path) -> None:
    assert "Nothing is known about how far people would agree" in Outline(full_page).text
    full_lake.rows(
        "INSERT INTO lake.assessments (holds, claim, labels, tested, drawn, calibration, ece_before, ece, "
        "bin_confidence, bin_accuracy, bin_count, iteration) VALUES (true, 'Guarantee: <b>40</b> are accepted.', 60, "
        "60, true, 'temperature', 0.09, 0.03, [0.58, 0.72, 0.9], [0.5, 0.75, 0.93], [12, 16, 32], 0)"
    )
    full_lake.rows(
        "INSERT INTO lake.guarantees VALUES ('math', 70, 40, 0.81, 0.1, 0.05, 30, 25, 0, 0.088, 0, 0, 'r'), "
        "('chat', 50, 0, NULL, 0.1, 0.05, 30, 0, 0, NULL, NULL, 0, 'r')"
    )
    outline = Outline(page_of(full_lake, tmp_path))
    assert "Guarantee: <b>40</b> are accepted." in outline.text
    assert "math 70 40 57.1 % 81.0 % 30 25 0 8.8 % –" in outline.text
    assert "more would not help" in outline.text
    assert "is 3.0 % after temperature calibration" in outline.text
    assert "All labels of this prompt" in outline.text
