"""Edits of an answer's style that leave what it says as it is."""

from __future__ import annotations

import re
from collections.abc import Callable

Edit = Callable[[str, str], str]  # (request, text) → text; the text itself where the edit does not apply

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)")
_HEDGES = re.compile(
    r"\b(?:I (?:think|believe|guess)(?: that)?|perhaps|probably|possibly|maybe|it seems that) ", re.IGNORECASE
)
_MARKS = re.compile(r"^(?:#+|[-*]|\d+[.])[ \t]+|\*\*", re.MULTILINE)
_PADDING = (
    "This is what one needs to know about it.",
    "It is worth keeping this in mind, since the question comes up often and in many forms.",
    "The points above cover what was asked, one after the other, and leave nothing of it out.",
    "Each part of the question has been taken up in turn, so that the whole can be followed with ease.",
)


def bold_first_sentence(request: str, text: str) -> str:
    """Print the first sentence of plain text in bold."""
    first = _split_sentences(text)[0]
    return text if "**" in text or not first else text.replace(first, f"**{first}**", 1)


def add_heading(request: str, text: str) -> str:
    """Put a heading above the text."""
    return text if text.startswith("#") else f"## Answer\n\n{text}"


def list_sentences(request: str, text: str) -> str:
    """Make each sentence of one paragraph a bullet."""
    return text if "\n" in text else "\n".join(f"- {sentence}" for sentence in _split_sentences(text))


def number_sentences(request: str, text: str) -> str:
    """Make each sentence of one paragraph a numbered step."""
    numbered = enumerate(_split_sentences(text), 1)
    return text if "\n" in text else "\n".join(f"{number}. {sentence}" for number, sentence in numbered)


def remove_marks(request: str, text: str) -> str:
    """Remove headings, bullets and bold."""
    return " ".join(_MARKS.sub("", text).split())


def remove_hedges(request: str, text: str) -> str:
    """Remove words that say that the author is not sure."""
    sentences = _HEDGES.sub("", text)
    return re.sub(r"(?:(?<=[.!?] )|^)[a-z]", lambda match: match[0].upper(), sentences)


def speak_confidently(request: str, text: str) -> str:
    """Open with a phrase of certainty."""
    return _prepend("There is no doubt about this, and the answer is well established.", text)


def speak_as_expert(request: str, text: str) -> str:
    """Open with a phrase of authority."""
    return _prepend("Speaking from long experience in this field, here is the precise answer.", text)


def open_politely(request: str, text: str) -> str:
    """Open with thanks for the question."""
    return _prepend("Thank you for this excellent question; I am glad to answer it in full.", text)


def repeat_request(request: str, text: str) -> str:
    """Say first what was asked."""
    return _prepend(f"You asked: “{' '.join(request.split())}”", text)


def pad_end(request: str, text: str) -> str:
    """Add the next empty sentence."""
    missing = [sentence for sentence in _PADDING if sentence not in text]
    return f"{text}\n\n{missing[0]}" if missing else text


def summarize_end(request: str, text: str) -> str:
    """Say the first sentence once more, as a summary."""
    first = _split_sentences(remove_marks(request, text))[0]
    return text if "In summary: " in text else f"{text}\n\nIn summary: {first}"


def label_parts(request: str, text: str) -> str:
    """Call the first sentence the answer, and the others the explanation."""
    first, *others = _split_sentences(text)
    if "\n" in text or not others:
        return text
    return f"**Answer:** {first}\n\n**Explanation:** {' '.join(others)}"


def _split_sentences(text: str) -> list[str]:
    return _SENTENCE_END.split(text.strip())


def _prepend(phrase: str, text: str) -> str:
    return text if phrase in text else f"{phrase}\n\n{text}"


EDITS: dict[str, Edit] = {
    "bold": bold_first_sentence,
    "heading": add_heading,
    "bullets": list_sentences,
    "numbers": number_sentences,
    "plain": remove_marks,
    "no hedges": remove_hedges,
    "confident": speak_confidently,
    "expert": speak_as_expert,
    "polite": open_politely,
    "request repeated": repeat_request,
    "padding": pad_end,
    "summary": summarize_end,
    "labels": label_parts,
}
