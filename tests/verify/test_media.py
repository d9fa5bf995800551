"""Media of tasks: which form shows them, the links to them, and the server behind the links."""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from curate.config.project import Config
from curate.config.verify import VerifySection
from curate.lake.lake import Lake
from curate.records import Message, Part
from curate.verify.answer_reader import read_answer
from curate.verify.answers import list_questions
from curate.verify.exported import Region, TaskData
from curate.verify.forms import TaskItem, build_task_data, choose_form, read_label_config
from curate.verify.media_links import MediaLinks, hide_addresses, list_media
from curate.verify.media_server import serve_media
from tests.seeing import film, paint
from tests.verify.samples import fill, make_task, write_project

FORMS = ("pairwise", "pairwise-turns", "ranking", "pass-fail", "rubric", "critique")


def item_of(*contents: str | Part, form: str = "pairwise", asked: Part | None = None) -> TaskItem:
    prompt, responses, task = make_task(1, contents, form=form)  # type: ignore[arg-type]
    messages = prompt.messages
    if asked is not None:
        messages = (messages[0].model_copy(update={"content": (*messages[0].content, asked)}), *messages[1:])
    return TaskItem(task, messages, {response.response_id: response.messages for response in responses})


@pytest.fixture
def links() -> MediaLinks:
    return MediaLinks("http://127.0.0.1:8089", b"key")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_places_for_media(form: str) -> None:
    tags = {
        tag.get("name")
        for tag in ElementTree.fromstring(read_label_config(f"{form}-media")).iter("HyperText")
    }
    assert "prompt_media" in tags
    assert len(tags) == (3 if form.startswith("pairwise") else 2)
    assert not list(ElementTree.fromstring(read_label_config(form)).iter("HyperText"))


def test_the_form_follows_the_media() -> None:
    local, web = Part(type="image", uri="a.png"), Part(type="image", uri="https://x.org/a.png")
    section = VerifySection()
    assert choose_form(item_of("a", "b"), section) == "pairwise"
    assert (
        choose_form(item_of(web, web.model_copy(update={"uri": "https://x.org/b.png"})), section)
        == "pairwise-image"
    )
    assert choose_form(item_of(local, web), section) == "pairwise-media"
    assert choose_form(item_of("a", "b", asked=web), section) == "pairwise-media"
    assert choose_form(item_of("a", asked=local, form="pointwise"), section) == "pass-fail-media"
    assert choose_form(item_of("a", local, "c", form="listwise"), section) == "ranking-media"
    rubric = VerifySection(pointwise="rubric", criteria=["Good"])
    assert choose_form(item_of(local, form="pointwise"), rubric) == "rubric-media"


def test_people_see_numbers_and_no_addresses(links: MediaLinks) -> None:
    item = item_of(
        Part(type="image", uri="dalle/1.png"), "text", asked=Part(type="video", uri='clip".mp4" onload="x')
    )
    data = build_task_data(item, "pairwise-media", guideline="", section=VerifySection(), links=links)
    shown = str({name: value for name, value in data.items() if name != "order"})
    assert "dalle" not in shown
    assert "clip" not in shown
    assert "[video 1]" in data["conversation"][0]["text"]
    assert "<video src=" in data["prompt_media"]
    sides = {data["left_media"], data["right_media"]}
    assert len(sides) == 2
    assert "<span></span>" in sides
    result = [{"from_name": "verdict", "value": {"choices": ["left-2"]}}]
    verdict = read_answer(TaskData.model_validate(data), [Region.model_validate(part) for part in result])
    assert verdict.outcome in ("a", "b")
    assert verdict.details["strength"] == 2


def test_an_address_on_the_web_is_escaped(links: MediaLinks) -> None:
    part = Part(type="image", uri='https://x.org/a.png"><script>alert(1)</script>')
    gallery = links.build_gallery((Message(role="user", content=(part,)),), "0" * 32)
    assert "<script>" not in gallery
    assert gallery.count("<img ") == 1


def test_numbers_follow_the_order_of_the_messages() -> None:
    messages = (
        Message(
            role="user", content=(Part(text="see"), Part(type="image", uri="a"), Part(type="video", uri="b"))
        ),
        Message(role="assistant", content=(Part(type="image", uri="c"),)),
    )
    assert [part.uri for part in list_media(messages)] == ["a", "b", "c"]
    texts = [part.text for message in hide_addresses(messages) for part in message.content]
    assert texts == ["see", "[image 1]", "[video 2]", "[image 3]"]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Config, list[str], str]]:
    """A project whose responses are a picture, a film and three things that are neither or not allowed."""
    pytest.importorskip("av")
    config = write_project(tmp_path / "ws")
    paint(tmp_path / "ws" / "a.png", "red")
    film(tmp_path / "ws" / "b.webm", ["red", "blue"])
    page = "data:text/html;base64," + base64.b64encode(b"<script>alert(1)</script>").decode()
    outside = paint(tmp_path / "outside.png", "red")
    parts = [
        Part(type="image", uri="a.png"),
        Part(type="video", uri="b.webm"),
        Part(type="image", uri=page),
        Part(type="image", uri=str(outside)),
        Part(type="video", uri="a.png"),
    ]
    made = make_task(1, parts, form="listwise")
    with Lake.open(config.location) as lake:
        fill(lake, [made])
        with serve_media(lake, config, port=0) as port:
            yield config, [response.response_id for response in made[1]], f"http://127.0.0.1:{port}"


def fetch(address: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=20) as reply:
            return reply.status, reply.read(), dict(reply.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


def test_only_signed_links_to_what_was_recognised_are_served(served: tuple[Config, list[str], str]) -> None:
    config, owners, address = served
    links = MediaLinks.open(config)

    def get(place: int, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        return fetch(f"{address}/{owners[place]}/0/{links.sign(owners[place], 0)}", **headers)

    status, content, headers = get(0)
    assert (status, content[1:4], headers["Content-Type"]) == (200, b"PNG", "image/png")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    status, film, headers = get(1)
    assert (status, headers["Content-Type"]) == (200, "video/webm")
    assert get(1, Range="bytes=2-5")[:2] == (206, film[2:6])
    assert get(1, Range="bytes=-3")[:2] == (206, film[-3:])
    assert get(1, Range="bytes=oops")[0] == 200
    reasons = [get(place) for place in (2, 3, 4)]
    assert [status for status, *_ in reasons] == [404] * 3
    assert b"decoded" in reasons[0][1]
    assert b"outside" in reasons[1][1]
    assert b"neither MP4 nor WebM" in reasons[2][1]
    assert all(headers["Content-Type"].startswith("text/plain") for *_, headers in reasons)
    assert fetch(f"{address}/{owners[0]}/0/{'0' * 32}")[0] == 403
    assert fetch(f"{address}/{owners[0]}/1/{links.sign(owners[0], 0)}")[0] == 403
    assert fetch(f"{address}/{owners[0]}/7/{links.sign(owners[0], 7)}")[0] == 404
    assert fetch(f"{address}/{'f' * 32}/0/{links.sign('f' * 32, 0)}")[0] == 404
    assert fetch(f"{address}/../../etc/passwd")[0] == 403


def test_spreadsheets_and_the_terminal_say_the_path(tmp_path: Path) -> None:
    config = write_project(tmp_path / "ws")
    data = "data:image/png;base64," + "A" * 500
    made = make_task(1, [Part(type="image", uri="pictures/a.png"), Part(type="image", uri=data)])
    with Lake.open(config.location) as lake:
        fill(lake, [made])
        (question,) = list_questions(lake, "somebody")
    assert set(question.texts) == {"[image pictures/a.png]", "[image]"}
