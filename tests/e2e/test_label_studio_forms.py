"""What annotators live with: a real browser, a real server, every form answered by keyboard and mouse."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from curate.aggregate import aggregate_judgments
from curate.cli.app import app
from curate.config.project import Config, load_config
from curate.data.pseudonym import Pseudonyms
from curate.lake.lake import Lake
from curate.records import (
    Form,
    Message,
    Part,
    Prompt,
    Response,
    ToolCall,
    VerifyTask,
    response_id,
    text_parts,
)
from curate.verify.pull import pull_answers
from curate.verify.push import push_tasks
from curate.verify.server import TOKEN_VARIABLE, LabelStudioClient
from tests.browser import require_browser
from tests.e2e.label_studio import PASSWORD, TOKEN, LabelStudioServer
from tests.verify.samples import NASTY, fill, make_task, write_project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
PERSON = "ada@example.com"
WHERE = """word => {
    const line = document.querySelector('.curate-side .lsf-richtext__line');
    const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
    for (let node; node = walker.nextNode();) {
        const start = node.data.indexOf(word);
        if (start < 0) continue;
        const range = document.createRange();
        range.setStart(node, start);
        range.setEnd(node, start + word.length);
        const box = range.getBoundingClientRect();
        return [box.x, box.y, box.width, box.height];
    }
}"""  # the box around a word of the response
TASKS = 10  # of each form
FEW_TASKS = 4  # where a form is answered again: planned by the command, or with pictures and clips


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)


@pytest.fixture(scope="module")
def page(label_studio: LabelStudioServer) -> Iterator[Any]:
    """A browser in which an annotator has signed in."""
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = require_browser()
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(chromium), headless=True, args=QUIET)
        page = browser.new_page(viewport={"width": 1440, "height": 950})
        page.set_default_timeout(60_000)
        page.goto(f"{label_studio.url}/user/login/", wait_until="commit")
        page.fill("[name=email]", PERSON)
        page.fill("[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "login" not in url, wait_until="commit")
        yield page
        browser.close()


def label(page: Any, url: str, project: int, answer: Callable[[Any], None], *, tasks: int = TASKS) -> None:
    """Sit in the project's label stream and answer what comes."""

    def is_next(response: Any) -> bool:
        return "id=next_task" in response.url and f"project={project}" in response.url

    with page.expect_response(is_next) as first:
        page.goto(f"{url}/projects/{project}/data?labeling=1", wait_until="commit")
    shown = first.value.json()
    for done in range(tasks):
        page.get_by_text(shown["data"]["conversation"][0]["text"].partition("\n")[0]).first.wait_for()
        page.get_by_test_id("bottombar-submit-button").wait_for()
        answer(page)
        with (
            page.expect_response(
                lambda response: "/annotations" in response.url and response.request.method == "POST"
            ) as sent,
            page.expect_response(is_next) as following,
        ):
            page.keyboard.press("Control+Enter")
        assert sent.value.status == 201, sent.value.text()
        if done + 1 < tasks:
            shown = following.value.json()


def side(page: Any, name: str) -> str:
    """The text that stands under a heading."""
    heading = page.locator(".curate-side", has=page.get_by_text(name, exact=True))
    return str(heading.locator(".curate-text").inner_text())


def prefer_good(page: Any) -> None:
    page.keyboard.press("2" if "good" in side(page, "Left") else "6")


def click_good(page: Any) -> None:
    good = "good" in side(page, "Left")
    page.locator("label", has_text=re.compile("^Left, slightly" if good else "^Right, slightly")).click()


def rank(page: Any) -> None:
    """Bring the good response to the top by keyboard."""
    cards = page.locator(".htx-ranker-item")
    cards.first.wait_for()
    place = next(at for at in range(cards.count()) if "good" in cards.nth(at).inner_text())
    cards.nth(place).focus()
    page.keyboard.press("Space")
    page.wait_for_timeout(300)
    for _ in range(place):
        page.keyboard.press("ArrowUp")
        page.wait_for_timeout(300)
    page.keyboard.press("Space")
    page.wait_for_timeout(400)


def pass_good(page: Any) -> None:
    page.keyboard.press("1" if "good" in side(page, "Response") else "2")


def tick(page: Any) -> None:
    if "good" in side(page, "Response"):
        page.keyboard.press("1")
        page.keyboard.press("3")
    else:
        page.keyboard.press("4")


def criticise(page: Any) -> None:
    """Mark a word, say why, and decide with the mouse."""
    good = "good" in side(page, "Response")
    page.locator(".curate-side .lsf-richtext__line").first.wait_for()
    page.keyboard.press("r" if good else "q")
    page.locator(".lsf-label_selected").wait_for()
    left, top, width, height = page.evaluate(WHERE, "apple")
    page.mouse.move(left + 1, top + height / 2)
    page.mouse.down()
    page.mouse.move(left + width - 1, top + height / 2, steps=8)
    page.mouse.up()
    page.get_by_text("Labeled regions will appear here").wait_for(state="hidden")
    page.locator("textarea").first.fill("because of the apple")
    page.locator("textarea").first.press("Shift+Enter")
    page.locator("label", has_text=re.compile("^Pass" if good else "^Fail")).click()


def media(kind: str, url: str) -> Callable[[int, str], Part]:
    """Addresses of the picture and the clip that every Label Studio brings along."""
    name = "images/opossum_broken.svg" if kind == "image" else "samples/opossum_snow.mp4"
    return lambda number, quality: Part(type=kind, uri=f"{url}/static/{name}?{quality}-{number}")  # type: ignore[arg-type]


def answered(lake: Lake, config: Config) -> list[dict[str, Any]]:
    pull_answers(lake, config)
    assert pull_answers(lake, config).skipped
    rows = lake.arrow("SELECT * FROM judgments WHERE kind = 'human'").to_pylist()
    person = Pseudonyms.open(config).of(PERSON)
    assert {row["annotator_id"] for row in rows} == {person}
    assert all(row["seconds"] > 0 for row in rows)
    return [row | {"raw": json.loads(row["raw"])} for row in rows]


def good_ids(lake: Lake) -> set[str]:
    return {found for (found,) in lake.rows("SELECT response_id FROM responses WHERE \"key\" LIKE '%-0'")}


@pytest.mark.parametrize("answer", [prefer_good, click_good], ids=["keyboard", "mouse"])
def test_pairs(
    label_studio: LabelStudioServer, page: Any, lake: Lake, tmp_path: Path, answer: Callable[[Any], None]
) -> None:
    config = write_project(tmp_path / "ws", url=label_studio.url, project=f"pairs {answer.__name__[:5]}")
    fill(lake, [make_task(at, [f"A good answer {at}", f"A bad answer {at}"]) for at in range(TASKS)])
    push_tasks(lake, config)
    label(page, label_studio.url, project_of(config, "pairwise"), answer)
    rows = answered(lake, config)
    good = good_ids(lake)
    winners = [row["response_a"] if row["outcome"] == "a" else row["response_b"] for row in rows]
    assert len(rows) == TASKS
    assert set(winners) == good
    assert {row["shown"] for row in rows} == {"ab", "ba"}
    assert {row["raw"]["strength"] for row in rows} == {2 if answer is prefer_good else 1}
    aggregate_judgments(lake, config)
    for a, p_a in lake.rows("SELECT response_a, p_a FROM preferences"):
        assert (p_a > 0.5) == (a in good)


def project_of(config: Config, form: str) -> int:
    with LabelStudioClient.connect(config.verify) as server:
        found = server.find_project(f"{config.verify.project} - {form}")
    assert found is not None
    return found.id


def test_rankings(label_studio: LabelStudioServer, page: Any, lake: Lake, tmp_path: Path) -> None:
    config = write_project(tmp_path / "ws", url=label_studio.url, project="rankings")
    contents = ["good", "bad", "worse"]
    fill(
        lake,
        [make_task(at, [f"A {each} answer" for each in contents], form="listwise") for at in range(TASKS)],
    )
    push_tasks(lake, config)
    label(page, label_studio.url, project_of(config, "ranking"), rank)
    rows = answered(lake, config)
    assert len(rows) == TASKS
    good = good_ids(lake)
    for row in rows:
        assert row["ranking"][0] in good
        assert sorted(row["ranking"]) == sorted(row["listed"])


@pytest.mark.parametrize(
    ("form", "answer"),
    [("pass-fail", pass_good), ("rubric", tick), ("critique", criticise)],
    ids=lambda each: str(each)[:9],
)
def test_single_responses(
    label_studio: LabelStudioServer,
    page: Any,
    lake: Lake,
    tmp_path: Path,
    form: str,
    answer: Callable[[Any], None],
) -> None:
    criteria = ["Names a fruit", "Is long", "Is polite"]
    config = write_project(
        tmp_path / "ws", url=label_studio.url, project=f"one {form}", pointwise=form, criteria=criteria
    )
    made = [
        make_task(at, [f"A {'good' if at % 2 else 'bad'} answer about an apple"], form="pointwise")
        for at in range(TASKS)
    ]
    fill(lake, made)
    push_tasks(lake, config)
    label(page, label_studio.url, project_of(config, form), answer)
    rows = answered(lake, config)
    assert len(rows) == TASKS
    good = {responses[0].response_id for at, (_, responses, _) in enumerate(made) if at % 2}
    best = 2 / 3 if form == "rubric" else 1.0
    for row in rows:
        assert row["score"] == pytest.approx(best if row["response_a"] in good else 0.0)
        if form == "critique":
            assert row["rationale"] == "because of the apple"
            (span,) = row["raw"]["spans"]
            said = ("apple", "good" if row["response_a"] in good else "wrong")
            assert (span["text"], span["label"]) == said
        if form == "rubric" and row["response_a"] in good:
            assert row["raw"]["verdict"] == ["Names a fruit", "Is polite"]


RUBRIC = """
name: red-fruit
about: What a good answer names.
criteria:
- {name: names-a-fruit, text: The response names a fruit., kind: hard, weight: 2.0, reason: A fruit was asked for.}
- {name: hedges, text: The response hedges., weight: -1.0}
- {name: polite, text: The response is polite.}
"""


@pytest.mark.parametrize(
    ("form", "answer"), [("rubric", tick), ("pass-fail", pass_good)], ids=["rubric", "pass-fail"]
)
def test_forms_planned_by_the_command(
    label_studio: LabelStudioServer, page: Any, tmp_path: Path, form: str, answer: Callable[[Any], None]
) -> None:
    """From files to counted labels by commands alone; the rubric stands beside the task while people answer."""
    rows = [
        {
            "id": f"q{number}",
            "prompt": f"Question {number}: which fruit is red?",
            "responses": [{"id": f"q{number}-{word}", "text": f"A {word} apple"} for word in ("good", "bad")],
        }
        for number in range(FEW_TASKS // 2)
    ]
    (tmp_path / "responses.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "red.yaml").write_text(RUBRIC, encoding="utf-8")
    settings = f"verify: {{url: '{label_studio.url}', project: 'planned {form}', rubric: red.yaml}}"
    (tmp_path / "curate.yaml").write_text(
        f"ingest: [{{source: responses.jsonl}}]\n{settings}\n", encoding="utf-8"
    )
    config = load_config(tmp_path / "curate.yaml")
    call(tmp_path, "ingest")
    assert f"{FEW_TASKS} questions planned" in call(
        tmp_path, "verify", "plan", "--form", form, "--budget", "50"
    )
    call(tmp_path, "verify", "push")
    seen: list[str] = []

    def look_and_answer(page: Any) -> None:
        seen.append(page.locator(".curate-guideline").inner_text())
        answer(page)
        if len(seen) == 1:
            page.screenshot(path=tmp_path / f"{form}.png")

    label(page, label_studio.url, project_of(config, form), look_and_answer, tasks=FEW_TASKS)
    assert len(seen) == FEW_TASKS
    assert all(
        "The response names a fruit." in text and "Why: A fruit was asked for." in text for text in seen
    )
    assert f"verify {FEW_TASKS} {FEW_TASKS}" in call(tmp_path, "verify", "pull")
    call(tmp_path, "aggregate")
    with Lake.open(config.location, read_only=True) as lake:
        winners = lake.rows(
            "SELECT memory.response_text(messages) FROM preferences JOIN responses "
            "ON response_id = if(outcome = 'a', response_a, response_b) WHERE status = 'verified'"
        )
        met = lake.rows(
            "SELECT criterion, outcome, count(*) FROM criterion_verdicts GROUP BY ALL ORDER BY ALL"
        )
    assert winners == [("A good apple",)] * (FEW_TASKS // 2)
    if form == "rubric":
        assert met == [
            ("The response hedges.", "violated", FEW_TASKS),
            ("The response is polite.", "satisfied", FEW_TASKS // 2),
            ("The response is polite.", "violated", FEW_TASKS // 2),
            ("The response names a fruit.", "satisfied", FEW_TASKS // 2),
            ("The response names a fruit.", "violated", FEW_TASKS // 2),
        ]
    assert "nothing more to plan" in call(tmp_path, "verify", "plan", "--form", form, "--budget", "5")


def call(folder: Path, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "-c", str(folder / "curate.yaml")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize("kind", ["image", "video"])
@pytest.mark.parametrize("form", ["pairwise", "pointwise"])
def test_images_and_videos(
    label_studio: LabelStudioServer, page: Any, lake: Lake, tmp_path: Path, kind: str, form: Form
) -> None:
    """The address tells which is good here: the forms show the picture or player itself."""
    config = write_project(tmp_path / "ws", url=label_studio.url, project=f"{kind} {form}")
    make = media(kind, label_studio.url)
    made = [
        make_task(
            at, [make(at, each) for each in ("good", "bad")[: 2 if form == "pairwise" else 1]], form=form
        )
        for at in range(FEW_TASKS)
    ]
    fill(lake, made)
    push_tasks(lake, config)
    name = f"{'pairwise' if form == 'pairwise' else 'pass-fail'}-{kind}"

    def choose(page: Any) -> None:
        page.locator(".curate-side .lsf-image img[src], .lsf-video-canvas canvas").first.wait_for()
        page.locator(".lsf-video-canvas__loading").first.wait_for(state="hidden")
        prefer_good(page) if form == "pairwise" else pass_good(page)

    label(page, label_studio.url, project_of(config, name), choose, tasks=FEW_TASKS)
    rows = answered(lake, config)
    assert len(rows) == FEW_TASKS
    good = good_ids(lake)
    for row in rows:
        assert row["score"] == 1.0 if form == "pointwise" else row[f"response_{row['outcome']}"] in good


def test_trajectories(label_studio: LabelStudioServer, page: Any, lake: Lake, tmp_path: Path) -> None:
    """Two trajectories side by side: answers are seen at once, the steps before them when their panel is opened."""
    config = write_project(tmp_path / "ws", url=label_studio.url, project="trajectories")
    fill(lake, [make_trajectories(at) for at in range(2)])
    push_tasks(lake, config)
    pictures: list[bytes] = []

    def unfold_and_prefer(page: Any) -> None:
        page.get_by_text("fruit.good", exact=False).first.wait_for(state="hidden")
        assert "answer" in side_text(page, "Left")
        assert "answer" in side_text(page, "Right")
        folded = page.locator(".curate-page").screenshot()
        for panel in page.get_by_text("What it did before").all():
            panel.click()
        page.get_by_text("fruit.good", exact=False).first.wait_for(state="visible")
        page.wait_for_timeout(500)  # the panel slides open
        pictures.extend([folded, page.locator(".curate-page").screenshot()])
        assert pictures[-1] != folded
        page.keyboard.press("2" if "good" in side_text(page, "Left") else "6")

    label(page, label_studio.url, project_of(config, "pairwise-turns"), unfold_and_prefer, tasks=2)
    for number, picture in enumerate(pictures):
        (tmp_path / f"trajectories-{number}.png").write_bytes(picture)
    rows = answered(lake, config)
    winners = [row["response_a"] if row["outcome"] == "a" else row["response_b"] for row in rows]
    assert len(rows) == 2
    assert set(winners) == good_ids(lake)


def side_text(page: Any, name: str) -> str:
    """All that stands under a heading, folded parts left out."""
    return str(page.locator(".curate-side", has=page.get_by_text(name, exact=True)).inner_text())


def make_trajectories(number: int) -> tuple[Prompt, list[Response], VerifyTask]:
    """Two trajectories that call a tool each and answer differently."""
    prompt, responses, task = make_task(number, ["good", "bad"])
    made = []
    for response, quality in zip(responses, ("good", "bad"), strict=True):
        messages = (
            Message(
                role="assistant",
                reasoning="I look it up.",
                tool_calls=(ToolCall(id="c", name=f"fruit.{quality}", arguments='{"color":"red"}'),),
            ),
            Message(role="tool", tool_call_id="c", name=f"fruit.{quality}", content=text_parts("[1, 2]")),
            Message(role="assistant", content=text_parts(f"A {quality} answer {number}")),
        )
        identity = response_id(prompt.prompt_id, messages, key=response.key, model=response.model)
        made.append(response.model_copy(update={"messages": messages, "response_id": identity}))
    ids = tuple(sorted(response.response_id for response in made))
    return prompt, made, task.model_copy(update={"responses": ids})


def test_untrusted_text_is_text(
    label_studio: LabelStudioServer, page: Any, lake: Lake, tmp_path: Path
) -> None:
    """Scripts, markup, reversed writing and 200 KB: shown, harmless, and the page still works."""
    long = "word " * 40_000
    texts = [[NASTY, "plain"], [long, "x" * 200_000]]
    config = write_project(tmp_path / "ws", url=label_studio.url, project="nasty", pointwise="critique")
    made = [make_task(at, each) for at, each in enumerate(texts)]
    made += [make_task(5, [NASTY, "b", "c"], form="listwise"), make_task(6, [NASTY], form="pointwise")]
    prompt = made[-1][0]
    nasty = prompt.messages[0].model_copy(update={"content": (Part(text=f"Question 6: {NASTY}"),)})
    made[-1] = (prompt.model_copy(update={"messages": (nasty,)}), *made[-1][1:])
    fill(lake, made)
    push_tasks(lake, config)
    shown: list[str] = []
    questions: list[bool] = []

    def look(page: Any) -> None:
        page.wait_for_timeout(1000)
        everything = page.locator(".curate-page").inner_text()
        shown.append(everything)
        questions.append(page.evaluate("'__ran' in window"))
        assert page.locator(".curate-page img[src='x'], .curate-page script").count() == 0
        if page.locator(".htx-ranker-item").count() == 0:
            page.keyboard.press("1")

    for form, tasks in (("pairwise", 2), ("ranking", 1), ("critique", 1)):
        label(page, label_studio.url, project_of(config, form), look, tasks=tasks)
    assert questions == [False] * 4
    nasties = [text for text in shown if "<script>window.__ran = 'script'</script>" in text]
    assert len(nasties) == 3
    assert all('<img src=x onerror="' in text and "&lt;i&gt; {{7*7}} $left ]]>" in text for text in nasties)
    assert not any(sign in text for text in shown for sign in "\u202e\u202c")
    assert all("\ufffdright to left\ufffd" in text for text in nasties)
    assert any("x" * 200_000 in text for text in shown)
    assert not any("secret-model" in text for text in shown)
    assert len(answered(lake, config)) == 4
