"""Pictures and films of this machine as annotators see them: real Label Studio, real browser, real media server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from curate.config.project import Config
from curate.lake.lake import Lake
from curate.records import Form, Message, Part, Prompt, Response, VerifyTask, prompt_id
from curate.verify.push import push_tasks
from curate.verify.server import TOKEN_VARIABLE
from tests.e2e.conftest import Start
from tests.e2e.label_studio import TOKEN, LabelStudioServer, free_port
from tests.e2e.test_label_studio_forms import answered, good_ids, label, page, project_of  # noqa: F401
from tests.seeing import film, paint
from tests.verify.samples import fill, make_task, write_project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
TASKS = 2
LOADED = """() => [...document.querySelectorAll('.curate-page figure img, .curate-page figure video')].map(
    medium => medium.tagName === 'IMG'
        ? medium.complete && medium.naturalWidth
        : medium.readyState >= 2 && medium.videoWidth
)"""


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)


@pytest.fixture
def project(label_studio: LabelStudioServer, tmp_path: Path, curate: Start) -> Iterator[Config]:
    """A project whose media server runs, as people start it."""
    address = f"http://127.0.0.1:{free_port()}"
    config = write_project(
        tmp_path / "ws", url=label_studio.url, project=f"media {free_port()}", media=address
    )
    with Lake.open(config.location):
        pass
    server = curate("verify", "media", folder=tmp_path / "ws")
    assert server.stdout is not None
    assert "serving media on 127.0.0.1" in server.stdout.readline(), server.communicate(timeout=20)
    try:
        yield config
    finally:
        server.terminate()
        server.communicate(timeout=30)


def with_prompt_media(
    made: tuple[Prompt, list[Response], VerifyTask], part: Part
) -> tuple[Prompt, list[Response], VerifyTask]:
    """The same task about a prompt that shows an image or a video."""
    prompt, responses, task = made
    first, *rest = prompt.messages
    messages = (Message(role="user", content=(*first.content, part)), *rest)
    identity = prompt_id(messages, key=prompt.key, reference=None)
    return (
        prompt.model_copy(update={"messages": messages, "prompt_id": identity}),
        [response.model_copy(update={"prompt_id": identity}) for response in responses],
        task.model_copy(update={"prompt_id": identity}),
    )


def vqa(folder: Path, number: int) -> tuple[Prompt, list[Response], VerifyTask]:
    file = paint(folder / f"asked-{number}.png", ("red", "green")[number], size=320)
    answers = [f"A good answer: {('red', 'green')[number]}", "A bad answer: blue"]
    return with_prompt_media(make_task(number, answers), Part(type="image", uri=file.name))


def pictures(folder: Path, number: int) -> tuple[Prompt, list[Response], VerifyTask]:
    files = [paint(folder / f"{name}-{number}.png", colour, size=320) for name, colour in _GOOD_BAD]
    return make_task(number, [Part(type="image", uri=file.name) for file in files])


def films(folder: Path, number: int) -> tuple[Prompt, list[Response], VerifyTask]:
    pytest.importorskip("av")
    files = [
        film(folder / f"{name}-{number}.webm", [colour, "yellow"], frames=10, size=320)
        for name, colour in _GOOD_BAD
    ]
    return make_task(number, [Part(type="video", uri=file.name) for file in files])


def ranked(folder: Path, number: int) -> tuple[Prompt, list[Response], VerifyTask]:
    files = [
        paint(folder / f"{number}-{colour}.png", colour, size=160) for colour in ("red", "blue", "green")
    ]
    parts = [Part(type="image", uri=file.name) for file in files]
    return make_task(number, parts, form="listwise")


_GOOD_BAD = (("good", "red"), ("bad", "blue"))
_FORMS: list[tuple[str, Callable[..., Any], int]] = [
    ("pairwise-media", vqa, 1),
    ("pairwise-media", pictures, 2),
    ("pairwise-media", films, 2),
    ("ranking-media", ranked, 3),
]


@pytest.mark.parametrize(("form", "make", "media"), _FORMS, ids=lambda each: getattr(each, "__name__", ""))
def test_media_of_this_machine_are_seen_and_answered(
    label_studio: LabelStudioServer,
    page: Any,  # noqa: F811
    lake: Lake,
    project: Config,
    tmp_path: Path,
    form: Form,
    make: Callable[[Path, int], tuple[Prompt, list[Response], VerifyTask]],
    media: int,
) -> None:
    del lake  # the project has its own, in which the media server looks
    shown: list[bytes] = []

    def look_and_answer(page: Any) -> None:
        page.wait_for_function(
            f"() => {{ const all = ({LOADED})(); return all.length === {media} && all.every(Boolean) }}"
        )
        text = page.locator(".curate-page").inner_text()
        assert ".png" not in text
        assert ".webm" not in text
        shown.append(page.locator(".curate-page").screenshot())
        if form.startswith("pairwise"):
            page.keyboard.press("2" if make is not vqa or "good" in side_text(page, "Left") else "6")

    with Lake.open(project.location) as own:
        fill(own, [make(tmp_path / "ws", number) for number in range(TASKS)])
        summary = push_tasks(own, project)
        assert summary.counts.rows_kept == TASKS, summary
        label(page, label_studio.url, project_of(project, form), look_and_answer, tasks=TASKS)
        rows = answered(own, project)
        assert len(rows) == TASKS
        if make is vqa:
            winners = {row["response_a"] if row["outcome"] == "a" else row["response_b"] for row in rows}
            assert winners == good_ids(own)
        else:
            assert {row["outcome"] for row in rows} <= {"a", "b"}
    save_pictures(Path(os.environ.get("CURATE_PICTURES", tmp_path)), make.__name__, shown)


def side_text(page: Any, name: str) -> str:  # noqa: F811
    return str(page.locator(".curate-side", has=page.get_by_text(name, exact=True)).inner_text())


def save_pictures(folder: Path, name: str, shown: Sequence[bytes]) -> None:
    """Write what the annotator saw, for somebody to look at (`CURATE_PICTURES` names the folder)."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(shown):
        (folder / f"{name}-{number}.png").write_bytes(picture)
