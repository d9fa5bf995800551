"""Tasks of the queue for tests: prompts and responses with texts of choice, and one task for each set of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from curate.config.project import Config, load_config
from curate.core.identity import content_id
from curate.lake.lake import Lake
from curate.records import (
    Form,
    Message,
    Part,
    Prompt,
    Response,
    VerifyTask,
    prompt_id,
    response_id,
    text_parts,
)
from tests.conftest import table

NASTY = (
    "<script>window.__ran = 'script'</script>"
    "<img src=x onerror=\"window.__ran = 'onerror'\"> "
    "<b>bold?</b> \u202eright to left\u202c &lt;i&gt; {{7*7}} $left ]]> </Text>"
)


def make_task(
    number: int, contents: Sequence[str | Part], *, form: Form = "pairwise", meta: str | None = None
) -> tuple[Prompt, list[Response], VerifyTask]:
    """A prompt, a response for each content, and the task that asks about all of them."""
    messages = (
        Message(role="user", content=text_parts(f"Question {number}: which fruit is red?")),
        Message(role="assistant", content=text_parts("Do you mean outside or inside?")),
        Message(role="user", content=text_parts("Outside.")),
    )
    asked = prompt_id(messages, key=f"v{number}", reference=None)
    prompt = Prompt(prompt_id=asked, messages=messages, source="sample", key=f"v{number}", meta=meta)
    responses = []
    for place, content in enumerate(contents):
        parts = text_parts(content) if isinstance(content, str) else (content,)
        answer = (Message(role="assistant", content=parts),)
        identity = response_id(asked, answer, key=f"v{number}-{place}", model=f"secret-model-{place}")
        responses.append(
            Response(
                response_id=identity,
                prompt_id=asked,
                model=f"secret-model-{place}",
                messages=answer,
                key=f"v{number}-{place}",
            )
        )
    ids = tuple(sorted(response.response_id for response in responses))
    task = VerifyTask(
        task_id=content_id(asked, form, ids, "label"),
        prompt_id=asked,
        form=form,
        responses=ids,
        strategy="random",
        probability=0.5,
        run_id="sample",
    )
    return prompt, responses, task


def fill(lake: Lake, made: Sequence[tuple[Prompt, list[Response], VerifyTask]]) -> list[VerifyTask]:
    """Put them into the lake and the queue."""
    with lake.write("sample") as writer:
        writer.append("prompts", table([prompt for prompt, _, _ in made]))
        writer.append("responses", table([response for _, responses, _ in made for response in responses]))
        writer.append("verify_tasks", table([task for _, _, task in made]))
    return [task for _, _, task in made]


def write_project(folder: Path, **section: object) -> Config:
    """A workspace in `folder` with these options of `verify:`."""
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "curate.yaml").write_text(yaml.safe_dump({"verify": section}), encoding="utf-8")
    return load_config(folder / "curate.yaml")
