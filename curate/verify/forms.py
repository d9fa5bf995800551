"""The forms in which people see a task: how each shows a task (`answer_reader.py` reads the answers).

| form | a task of the queue | the answer becomes |
|---|---|---|
| pairwise, pairwise-image, pairwise-video | two responses | a pairwise judgment; "both bad" is `tied_as` |
| pairwise-turns | two trajectories | as pairwise |
| ranking | three and more | a listwise judgment with a `ranking` |
| pass-fail, pass-fail-image, pass-fail-video | one | a pointwise judgment, score 1 or 0 |
| rubric | one | a pointwise judgment, score = weighted share of the criteria that are met, and criterion verdicts |
| critique | one | as pass-fail, with the marked spans in `raw` |
| any of these with `-media` | with images or videos anywhere | as without; the form shows them |

A task about one aspect says so above the conversation. Each form is a labelling configuration `ui_config/<form>.xml`;
`-media` adds tags to it. pairwise-image and others of its sort show exactly one image or video at a web address in each
response, and none in the prompt. Responses are shown in an order drawn for the task.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from textwrap import indent
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import quoteattr

from curate.config.verify import HUMAN_FORMS, VerifySection
from curate.core.human_forms import AskedAs, get_filter_name
from curate.core.identity import content_id
from curate.core.resources import find_resource
from curate.data.conversation import Conversation, count_common
from curate.data.rubric import Rubric
from curate.records import Form, Message, Outcome, TiedAs, VerifyTask
from curate.verify.criteria import (
    AskedCriterion,
    CriterionAnswer,
    compute_rubric_score,
    list_rubric_criteria,
    list_text_criteria,
    pack_criteria,
)
from curate.verify.display import (
    find_media_address,
    has_turns,
    mark_branch,
    render_answer,
    render_steps,
    render_turns,
    reveal_characters,
    split_steps,
)
from curate.verify.media_links import MediaLinks, hide_addresses, list_media

MEDIA = ("image", "video")
WITH_MEDIA = "-media"
_PROMPT_HEIGHT = 240  # pixels of an image of the prompt, so that the responses stay in sight
TURNS = "pairwise-turns"
NOTHING_MET = "None of these"


@dataclass(frozen=True, slots=True)
class TaskItem:
    """A task of the queue with everything that people must see.

    `answers`: response id → its messages; `criteria`: the prompt's own criteria for its responses, where it has any.
    """

    task: VerifyTask
    messages: tuple[Message, ...]
    answers: dict[str, Conversation]
    category: str | None = None
    criteria: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[str, ...]:
        """Responses in the order shown, from left to right or top to bottom: random, and always the same for a task."""
        return tuple(random.Random(self.task.task_id).sample(self.task.responses, len(self.task.responses)))


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer as a judgment states it; `details` has no column of its own there."""

    outcome: Outcome
    score: float | None = None
    ranking: tuple[str, ...] | None = None
    scores: tuple[float, ...] | None = None
    tied_as: TiedAs | None = None
    criteria: tuple[CriterionAnswer, ...] = ()
    rationale: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


def get_asked_as(task: VerifyTask, section: VerifySection) -> AskedAs:
    """Return the form in which a task is asked, of older queues the one that it would have been asked in."""
    by_form: dict[Form, AskedAs] = {"pairwise": "pairwise", "listwise": "ranking"}
    return task.asked_as or by_form.get(task.form, section.pointwise)


def get_form_asked(form: str) -> AskedAs | None:
    """Return what a labelling configuration asks, whatever media it shows; None where none has the name."""
    return next((asked for asked in HUMAN_FORMS if form.startswith(asked)), None)


def choose_form(item: TaskItem, section: VerifySection) -> str:
    """Choose the labelling configuration that fits a task and its images and videos."""
    asked = get_asked_as(item.task, section)
    has_steps = asked == "pairwise" and any(map(has_turns, item.answers.values()))
    form = TURNS if has_steps else asked
    if not any(map(list_media, (item.messages, *item.answers.values()))):
        return form
    kind = _find_single_kind(item)
    if kind is not None and form in ("pairwise", "pass-fail"):
        return f"{form}-{kind}"
    if kind is not None and item.task.form == "pointwise" and item.task.asked_as is None:
        return f"pass-fail-{kind}"
    return form + WITH_MEDIA


def _find_single_kind(item: TaskItem) -> str | None:
    """Return "image" or "video" where each response has exactly one, at a web address, and the prompt has none."""
    if list_media(item.messages):
        return None
    media = [list_media(answer) for answer in item.answers.values()]
    kinds = {part.type for parts in media for part in parts}
    if len(kinds) != 1 or any(len(parts) != 1 for parts in media):
        return None
    on_web = all(
        urlsplit(part.uri or "").scheme.lower() in ("http", "https") for parts in media for part in parts
    )
    return kinds.pop() if on_web else None


def _find_media(item: TaskItem) -> str | None:
    kinds = {part.type for answer in item.answers.values() for message in answer for part in message.content}
    return next((kind for kind in MEDIA if kind in kinds), None)


def list_asked_criteria(
    item: TaskItem, section: VerifySection, rubric: Rubric | None
) -> tuple[AskedCriterion, ...]:
    """List the criteria that the rubric form asks about a task.

    Raises:
        ValueError: There are none.
    """
    if item.criteria:
        return list_text_criteria(item.criteria)
    criteria = list_text_criteria(section.criteria) if rubric is None else list_rubric_criteria(rubric)
    if not criteria:
        raise ValueError("without criteria: set `verify.rubric` or `verify.criteria`")
    return criteria


def read_label_config(form: str, aspect: str | None = None) -> str:
    """Read the labelling configuration (XML) of a form, with the style that all forms share.

    Args:
        form: Name of the form.
        aspect: The one criterion that is asked about.
    """
    base = form.removesuffix(WITH_MEDIA)
    text, style = (
        find_resource(f"ui_config/{name}").read_text(encoding="utf-8")
        for name in (f"{base}.xml", "style.css")
    )
    if form != base:
        text = _add_galleries(text, base)
    if aspect is not None:
        header = f'<Header value={quoteattr(describe_aspect(aspect))} size="4"/>'
        opening = '<View className="curate-task">'
        text = text.replace(opening, f"{opening}\n      {header}", 1)
    return text.replace("<Style/>", f"<Style>\n{indent(style, '    ')}  </Style>")


def _add_galleries(text: str, form: str) -> str:
    """Add to a labelling configuration the tags that show the media of the prompt and of each response."""

    def make_tag(name: str) -> str:
        tag = f'<HyperText name="{name}_media" value="${name}_media"'
        return f'{tag} inline="true" clickableLinks="true" selectionEnabled="false"/>\n'

    names = _name_sides(form) or ("candidates",)
    places = {"prompt": '<Paragraphs name="conversation"[^\n]*\n'}
    places |= {name: f'<Header value="{name.title()}" size="5"/>\n' for name in names}
    places["candidates"] = '(?=<List name="candidates")'
    for name in ("prompt", *names):
        text, count = re.subn(places[name], lambda match, name=name: match[0] + make_tag(name), text, count=1)  # type: ignore[misc]
        if count != 1:
            raise AssertionError(f"no place for the media of {name} in the form {form}")
    return text


def _name_sides(form: str) -> tuple[str, ...]:
    """Name the responses of a form as its fields do; () for a ranking."""
    if form.startswith("pairwise"):
        return ("left", "right")
    return () if form.startswith("ranking") else ("response",)


def describe_aspect(aspect: str) -> str:
    """Tell people which one criterion they are asked about."""
    if (name := get_filter_name(aspect)) is not None:
        finding = f"The filter {reveal_characters(name)} has found something."
        return f"{finding} Pass: the response may stay. Fail: it has to go"
    return f"Judge this alone: {reveal_characters(aspect)}"


def hash_form(
    form: str, *, guideline: str, assist: bool, criteria: Sequence[AskedCriterion], aspect: str | None = None
) -> str:
    """Hash how people are asked: everything but the task itself that can change their answers.

    Args:
        form: Name of the form.
        guideline: Text beside the task.
        assist: Whether the panel's label is shown.
        criteria: What the rubric form asks people to tick; other forms do not show them.
        aspect: The one criterion that is asked about.
    """
    texts = [criterion.text for criterion in criteria] if form.startswith("rubric") else []
    return content_id(read_label_config(form, aspect), guideline, assist, texts)


def build_task_data(
    item: TaskItem,
    form: str,
    *,
    guideline: str,
    section: VerifySection,
    rubric: Rubric | None = None,
    links: MediaLinks | None = None,
) -> dict[str, Any]:
    """Build the data of a task in Label Studio: texts to show, and what reading the answers needs. It names no model.

    Args:
        item: The task with its texts.
        form: The form that shows it.
        guideline: Text beside the task.
        section: `verify` of curate.yaml.
        rubric: What `verify.rubric` names.
        links: Makes the links of a `-media` form.

    Raises:
        ValueError: The task cannot be shown; the message says why, the same for all tasks with this problem.
    """
    if set(item.answers) != set(item.task.responses):
        raise ValueError("about responses that are not in the lake")
    base, original, galleries = form.removesuffix(WITH_MEDIA), item, dict[str, str]()
    if form != base and links is not None:
        galleries = _build_galleries(item, base, links)
        answers_as_text = {response: hide_addresses(answer) for response, answer in item.answers.items()}
        item = replace(item, messages=hide_addresses(item.messages), answers=answers_as_text)
    if base in ("rubric", "critique") and (media := _find_media(item)):
        raise ValueError(f"with an {media}" if media == "image" else f"with a {media}")
    criteria = list_asked_criteria(item, section, rubric) if base == "rubric" else ()
    guideline = add_own_criteria(guideline, item)
    data: dict[str, Any] = {
        "task": item.task.task_id,
        "form": form,
        "revision": hash_form(
            form, guideline=guideline, assist=section.assist, criteria=criteria, aspect=item.task.aspect
        ),
        "assist": section.assist,
        "order": list(item.order),
        "conversation": render_turns(item.messages),
        "guideline": guideline,
        **galleries,
    }
    answers = [item.answers[response] for response in item.order]
    if base == "ranking":
        data["candidates"] = [
            {"id": str(number), "title": f"Response {number}", "body": render_answer(answer)}
            for number, answer in enumerate(answers, start=1)
        ]
        return data
    if base == TURNS:  # other pictures are other messages, also where text stands for them
        common = count_common([original.answers[response] for response in item.order])
        data["conversation"] += render_steps(answers[0][:common]) + mark_branch(common)
        for name, answer in zip(("left", "right"), answers, strict=True):
            data[f"{name}_steps"], data[name] = split_steps(answer[common:])
        return data
    media = base.rpartition("-")[2]
    for name, answer in zip(_name_sides(base), answers, strict=True):
        data[name] = render_answer(answer)
        if media in MEDIA:
            data[f"{name}_{media}"] = find_media_address(answer, media)
    if base == "rubric":
        data["criteria"] = [{"value": criterion.text} for criterion in criteria]
        data["criteria"].append({"value": NOTHING_MET})
        data["asked_criteria"] = pack_criteria(criteria)
    return data


def add_own_criteria(guideline: str, item: TaskItem) -> str:
    """Add a prompt's own criteria to the guideline."""
    if not item.criteria:
        return guideline
    lines = [f"• {reveal_characters(criterion)}" for criterion in item.criteria]
    return "\n".join([f"{guideline}\n\nFor this request:", *lines])


def _build_galleries(item: TaskItem, form: str, links: MediaLinks) -> dict[str, str]:
    """Return the fields of a `-media` form beside those of its text form."""
    galleries = {
        "prompt_media": links.build_gallery(item.messages, item.task.prompt_id, height=_PROMPT_HEIGHT)
    }
    if names := _name_sides(form):
        return galleries | {
            f"{name}_media": links.build_gallery(item.answers[response], response)
            for name, response in zip(names, item.order, strict=True)
        }
    shown = [
        links.build_gallery(item.answers[response], response, f"Response {number}:", height=_PROMPT_HEIGHT)
        for number, response in enumerate(item.order, start=1)
    ]
    return galleries | {"candidates_media": "".join(shown)}


def suggest_choice(p_left: float) -> str:
    """Turn the probability that the left response is better into an answer of the pairwise form, for assist mode."""
    strength = abs(p_left - 0.5)
    if strength < 0.05:
        return "tie"
    return f"{'left' if p_left > 0.5 else 'right'}-{1 if strength < 0.25 else 2 if strength < 0.45 else 3}"


def decide_pair(
    order: Sequence[str], winner: str, strength: int | None, *, rationale: str | None, details: dict[str, Any]
) -> Verdict:
    """Return the verdict that one response of a pair is better.

    Args:
        order: The pair in the order shown.
        winner: Id of the better one.
        strength: 1 slightly, 2, 3 much; None: not known.
        rationale: Reasons that the person gives.
        details: What the judgment has no column for.
    """
    is_a = winner == min(order)
    score = None if strength is None else float(strength if is_a else -strength)
    return Verdict("a" if is_a else "b", score=score, rationale=rationale, details=details)


def judge_by_criteria(answers: Sequence[CriterionAnswer], *, rationale: str | None) -> Verdict:
    """Return the verdict of the rubric form."""
    details = {
        "verdict": [answer.criterion.text for answer in answers if answer.is_met],
        "criteria": [answer.criterion.text for answer in answers],
    }
    score = compute_rubric_score(answers)
    return Verdict("a", score=score, criteria=tuple(answers), rationale=rationale, details=details)
