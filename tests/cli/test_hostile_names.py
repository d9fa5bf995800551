"""Names that attack terminals, pages and spreadsheets are shown as characters by every command (fault 22)."""

from __future__ import annotations

import ast
import csv
import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import curate
from curate.core.progress import progress_bars
from curate.core.terminal import (
    clean_cell,
    escape_controls,
    escape_json,
    new_console,
    new_table,
    print_line,
)
from curate.verify.spreadsheet import _escape_formula as escape_formula
from tests.browser import require_browser
from tests.cli.hostile_names import NAMES, make_hostile_project
from tests.cli.in_process import run_command as call

BAD = {"Cc", "Cf", "Zl", "Zp"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_hostile_project(tmp_path_factory.mktemp("hostile") / "p")
    done = call(folder, "run")
    assert done.returncode == 0, done.stderr
    return folder


def find_controls(text: str) -> list[str]:
    return [char for char in text if char != "\n" and unicodedata.category(char) in BAD]


COMMANDS = [
    ["status"],
    ["status", "--json"],
    ["rank"],
    ["rank", "--ties", "davidson"],
    ["rank", "-f", "json"],
    ["evaluate"],
    ["evaluate", "-j", "[/x]", "-b", "[pairs].jsonl"],
    ["judge", "--dry-run"],
    ["judge", "-j", "[/x]"],
    ["judge", "-j", "[/no such judge]\x1b[31m"],
    ["aggregate"],
    ["verify", "plan", "-n", "7"],
    ["verify", "status"],
    ["verify", "quality"],
    ["verify", "groups"],
    ["verify", "loop"],
    ["explain", "[/x]#0"],
    ["explain", "--full", "[/x]#0"],
    ["explain", "--json", "[/x]#0"],
    ["explain", "[/nothing]\x1b[31m"],
    ["export"],
    ["export", "[:x]\x1b[31m", "-f", "[/x]"],
    ["report", "-o", "[x]\x1b[31m.html"],
    ["report"],
    ["snapshot", "list"],
    ["sql", "SELECT model, prompt_id FROM responses"],
    ["sql", "SELECT annotator_id, rationale FROM judgments WHERE kind = 'human'"],
    ["sql", "SELECT '[/x]' AS nothing FROM nowhere"],
    ["ingest", "responses", "[/x]\x1b[31m.jsonl"],
    ["ingest", "responses", "responses.jsonl", "-f", "[/x]"],
    ["compact"],
    ["gc", "--dry-run"],
    ["train"],
    ["status", "-c", "[/x].yaml"],
    ["run"],
]


@pytest.mark.parametrize(
    "arguments", COMMANDS, ids=lambda arguments: " ".join(arguments)[:40].encode("unicode_escape").decode()
)
def test_fault_22_no_command_breaks_or_steers_the_terminal(project: Path, arguments: list[str]) -> None:
    done = call(project, *arguments, COLUMNS="4000", NO_COLOR="1")
    text = done.stdout + done.stderr
    assert done.returncode in (0, 1), text
    assert "Traceback" not in text
    assert "unexpected" not in done.stderr
    assert find_controls(text) == []


def test_names_are_shown_as_they_are(project: Path) -> None:
    for command in (
        ["rank"],
        ["status"],
        ["verify", "quality"],
        ["evaluate", "-j", "[/x]", "-b", "[pairs].jsonl"],
    ):
        assert "[/x]" in call(project, *command, COLUMNS="4000").stdout
    shown = call(project, "rank", COLUMNS="4000").stdout
    for name in (
        "[bold red]all counts reconcile[/]",
        ":skull:",
        "\\x1b[31mred",
        "\\u202egnp.exe",
        "row\\nall counts reconcile",
    ):
        assert name in shown


def test_colours_of_our_own_are_all_that_a_terminal_gets(project: Path) -> None:
    """A terminal is played by FORCE_COLOR: rich then writes styles of its own, but no link and no title."""
    for command in (
        ["rank"],
        ["status"],
        ["explain", "[/x]#0"],
        ["verify", "quality"],
        ["export", "x", "-f", "[/x]"],
    ):
        done = call(project, *command, FORCE_COLOR="1", TERM="xterm-256color", COLUMNS="4000")
        text = done.stdout + done.stderr
        assert "\x1b]" not in text
        assert "\x9b" not in text
        assert "\x1b[31mred" not in text
        assert "\x1b[2J" not in text


def test_data_for_machines_is_exact(project: Path) -> None:
    query = "SELECT DISTINCT model FROM responses"
    as_json = json.loads(call(project, "sql", query, "-f", "json").stdout)
    assert {row["model"] for row in as_json} == set(NAMES)
    as_csv = list(csv.reader(call(project, "sql", query, "-f", "csv").stdout.splitlines(keepends=True)))
    assert {"=1+1", "@SUM(A1)", "+1"} <= {row[0] for row in as_csv if row}
    assert {row["model"] for row in json.loads(call(project, "rank", "-f", "json").stdout)} == set(NAMES)
    assert json.loads(call(project, "explain", "--json", "[/x]#0").stdout)["key"] == "[/x]#0"


def test_cells_for_people_are_no_formulas(project: Path, tmp_path: Path) -> None:
    assert call(project, "verify", "plan", "-n", "60").returncode == 0
    done = call(project, "verify", "export-csv", str(tmp_path / "sheet.csv"), "-a", "=cmd()")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "sheet.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) > 1
    for name in NAMES:
        assert not escape_formula(name).startswith(tuple("=+-@\t\r\n"))
    assert not [cell for row in rows[1:] for cell in row if cell.startswith(tuple("=+-@\t\r\n"))]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = require_browser()
    with sync_api.sync_playwright() as driver:
        yield driver.chromium.launch(
            executable_path=str(chromium), headless=True, args=["--no-sandbox", "--disable-gpu"]
        )


def run_page(browser: Any, page_html: Path) -> tuple[bool, list[str]]:
    """Open a page, open all that is folded, and return whether a script ran and what was asked of the network."""
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (asked.append("dialog"), dialog.dismiss()))
    page.goto(page_html.as_uri())
    for summary in page.query_selector_all("summary"):
        summary.click()
    links = page.query_selector_all("a[href^='javascript:'], a[href^='data:']")
    asked.extend(str(link.get_attribute("href")) for link in links)
    page.wait_for_timeout(300)
    ran = bool(page.evaluate("'__ran' in window"))
    page.close()
    return ran, [url for url in asked if url != page_html.as_uri()]


def test_the_report_runs_no_script_in_a_real_browser(project: Path, browser: Any) -> None:
    report = project / "report.html"
    assert "&lt;script&gt;" in report.read_text(encoding="utf-8")
    assert run_page(browser, report) == (False, [])


def test_the_card_as_html_runs_no_script_in_a_real_browser(
    project: Path, browser: Any, tmp_path: Path
) -> None:
    markdown_it = pytest.importorskip("markdown_it")
    card = (project / "export" / "pairs" / "README.md").read_text(encoding="utf-8")
    assert find_controls(card) == []
    _, _, body = card.split("---\n", 2)
    html = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(body)
    page = tmp_path / "card.html"
    page.write_text(f"<meta charset=utf-8>{html}", encoding="utf-8")
    assert html.count("<h1") == 1  # no name became a heading
    assert "evil.example</a>" not in html
    assert run_page(browser, page) == (False, [])


def test_a_browser_would_notice(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text("<img src=nothing onerror=window.__ran=1>")
    assert run_page(browser, tmp_path / "bad.html")[0]


# The door itself ---------------------------------------------------------------------------------------------


def test_every_table_and_message_goes_through_the_one_door() -> None:
    """No module but the door makes a console or a table of rich, and no command calls `print`."""
    root = Path(curate.__file__).parent
    offenders = []
    for file in sorted(root.rglob("*.py")):
        if file == root / "core" / "terminal.py":
            continue
        name, tree = file.relative_to(root).as_posix(), ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if called in ("Console", "Table") or (called == "print" and name.startswith("cli/")):
                offenders.append(f"{name}:{node.lineno}")
    assert offenders == []


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.encode("unicode_escape").decode())
def test_each_name_in_a_cell_a_heading_a_title_and_a_message(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = new_table(name, "n>", title=name)
    table.add_row(name, "1")
    console = new_console()
    console.print(table)
    console.print(name, soft_wrap=True)
    print_line(name)
    shown = capsys.readouterr().out
    assert find_controls(shown.replace("\t", "")) == []
    assert shown.count(escape_controls(name)) + shown.count(clean_cell(name).plain) >= 3
    assert json.loads(escape_json(json.dumps({"x": name}, ensure_ascii=False))) == {"x": name}
    assert find_controls(escape_json(json.dumps({"x": name}, ensure_ascii=False))) == []


def test_progress_labels_are_plain_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Console, "is_terminal", True)
    for name in NAMES:
        with progress_bars(f"ingest {name}", 2) as advance:
            advance(1, name)
    assert "\x1b]" not in capsys.readouterr().err
