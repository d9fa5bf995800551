"""What was understood of an input, in a sentence, and three of its rows drawn as conversations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from curate.config.project import Config
from curate.ingest.recognition.recognize import Recognition
from curate.ingest.recognition.sample import count_rows, locate_same
from curate.ingest.recognition.trial import AnyRow, Trial
from curate.ingest.rows import AnyMessage, Verdict

_DRAWN = 3
_LINES = 4  # of a message
_WIDTH = 100  # characters of a line
_PEOPLE = {"human": "people", "imported": "nobody knows whom", "llm": "language models"}


def describe_recognition(recognition: Recognition, config: Config) -> str:
    """Say what an input was understood to be: shape, kind of conversations, how many rows, whose verdicts.

    Args:
        recognition: What was recognised.
        config: The project's settings.
    """
    source, trial = recognition.source, recognition.trial
    place = recognition.item.part
    if source is None:
        return f"{place}: not recognised"
    if trial is None:
        return f"{place}: judgments of responses that are in the lake"
    shape = f"`{source.format}`" if source.fields is None else "a mapping by its columns"
    total = count_rows(locate_same(recognition.item, source, config), config)
    count = f"{total:,}" if total is not None else f"more than {trial.total:,}"
    parts = [shape, *_describe_prompts(trial), f"{count} {_name_rows(trial)}", _describe_verdicts(trial)]
    if trial.rejections:
        parts.append(
            f"{sum(trial.rejections.values())} of the first {trial.total} rows cannot be read ({trial.commonest})"
        )
    return f"{place}: {', '.join(part for part in parts if part)}"


def _name_rows(trial: Trial) -> str:
    sizes = Counter(len(row.responses) for row in trial.rows)
    if set(sizes) == {2}:
        return "pairs"
    if set(sizes) == {1}:
        return "single responses"
    return f"prompts with {min(sizes, default=0)} to {max(sizes, default=0)} responses"


def _describe_prompts(trial: Trial) -> Iterator[str]:
    """Say what conversations hold beyond one question and one answer."""
    messages = [message for row in trial.rows if not isinstance(row.prompt, str) for message in row.prompt]
    answers = [r for row in trial.rows for r in row.responses if not isinstance(r.answer, str)]
    roles = {message.role for message in messages}
    if messages:
        yield "conversational"
    if "assistant" in roles:
        yield "several turns"
    if roles & {"system", "developer"}:
        yield "system prompts"
    everything: list[AnyMessage] = [*messages, *(message for r in answers for message in r.answer)]  # type: ignore[list-item]
    if any(row.tools for row in trial.rows) or any(message.tool_calls for message in everything):
        yield "tools"
    if any(message.reasoning for message in everything):
        yield "reasoning"
    if any(
        part.type != "text"
        for message in everything
        if not isinstance(message.content, str)
        for part in message.content or ()
    ):
        yield "images or other media"
    if any(row.reference for row in trial.rows):
        yield "reference answers"


def _describe_verdicts(trial: Trial) -> str:
    verdicts = [verdict for row in trial.rows for verdict in row.verdicts]
    if not verdicts:
        return "no verdicts"
    kinds = Counter(verdict.kind for verdict in verdicts)
    names = list(dict.fromkeys(verdict.annotator for verdict in verdicts))
    listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    whose = " and ".join(f"{_PEOPLE.get(kind, kind)} (kind {kind})" for kind in kinds)
    ties = sum(verdict.winner == "tie" for verdict in verdicts)
    return f"verdicts of {whose}: {listed}" + (
        f", {ties} of the first {len(verdicts)} are ties" if ties else ""
    )


def describe_columns(trial: Trial) -> str:
    """Say which columns are not read, or that all are."""
    if not trial.unread:
        return "every column is read"
    return f"not read: {', '.join(trial.unread)}"


def draw_rows(trial: Trial) -> str:
    """Draw the first rows as conversations, with who says which answer is better."""
    return "\n".join(
        line for number, row in enumerate(islice(trial.rows, _DRAWN), 1) for line in _draw_row(number, row)
    )


def _draw_row(number: int, row: AnyRow) -> Iterator[str]:
    yield f"── row {number} " + "─" * 60
    yield from _draw_turns(row.prompt, "user", "  ")
    for position, response in enumerate(row.responses):
        yield f"  {_letter(position)}" + (f" ({response.model})" if response.model else "")
        yield from _draw_turns(response.answer, "assistant", "    ")
    for verdict in row.verdicts[:6]:
        yield f"  → {_draw_verdict(verdict)}"
    if len(row.verdicts) > 6:
        yield f"  → {len(row.verdicts) - 6} more verdicts"


def _draw_turns(turns: object, role: str, indent: str) -> Iterator[str]:
    if isinstance(turns, str):
        yield from _draw_text(role, turns, indent)
        return
    assert isinstance(turns, Sequence)
    for message in turns:
        if message.reasoning:
            yield from _draw_text(f"{message.role} thinks", message.reasoning, indent)
        content = message.content
        parts = (
            [content]
            if isinstance(content, str)
            else [part.text or f"[{part.type}: {part.uri}]" for part in content or ()]
        )
        if parts or not message.tool_calls:
            yield from _draw_text(message.role, "\n".join(parts), indent)
        for call in message.tool_calls or ():
            yield from _draw_text(f"{message.role} calls {call.name}", str(call.arguments), indent)


def _draw_text(role: str, text: str, indent: str) -> Iterator[str]:
    lines = text.splitlines() or [""]
    for number, line in enumerate(lines[:_LINES]):
        cut = line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
        yield f"{indent}{role + ':' if number == 0 else ' ' * (len(role) + 1)} {cut}"
    if len(lines) > _LINES:
        yield f"{indent}{' ' * (len(role) + 1)} … {len(lines) - _LINES} more lines"


def _draw_verdict(verdict: Verdict) -> str:
    a, b = _letter(verdict.a), _letter(verdict.b)
    says = {
        "a": f"{a} is better than {b}",
        "b": f"{b} is better than {a}",
        "tie": f"{a} and {b} are equally good",
    }
    word = says.get(verdict.winner, f"{verdict.winner} on {a} and {b}")
    probability = "" if verdict.p_a is None else f" (P({a}) = {verdict.p_a:.2f})"
    return f"{word}{probability}, says {verdict.annotator} ({verdict.kind})"


def _letter(position: int) -> str:
    return chr(ord("A") + position) if position < 26 else f"#{position + 1}"


def join_sentences(problems: Sequence[str]) -> str:
    """Join what is to be done into one sentence."""
    return "; ".join(problems)
