"""The demo's own verifier: does a response meet the condition that its prompt comes with?

`meta.check` of a prompt holds a condition that a program can test; DATA.md lists the kinds. A response that meets it is
rated 1, another one 0, and a prompt without a condition gets no rating.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from curate.judge import Answer, Judge, PromptItem, Question, abstain, ask_each_response, from_rating

Check = Callable[[str, Any], bool]


def find_last_number(text: str) -> float | None:
    numbers = re.findall(r"-?\d+(?:\.\d+)?(?:/\d+)?", text.replace(",", ""))
    if not numbers:
        return None
    above, _, below = numbers[-1].partition("/")
    return float(above) / float(below or 1)


def read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def count_sentences(text: str) -> int:
    return len(re.findall(r"[.!?]+(?=\s|$)", text.strip()))


def is_list(text: str, size: int, mark: Callable[[int], str]) -> bool:
    lines = text.strip().splitlines()
    return len(lines) == size and all(
        line.startswith(mark(number)) for number, line in enumerate(lines, start=1)
    )


def has_keys(text: str, keys: Sequence[str]) -> bool:
    value = read_json(text)
    return isinstance(value, dict) and sorted(value) == sorted(keys)


def is_array_of_texts(text: str, size: int) -> bool:
    value = read_json(text)
    return isinstance(value, list) and len(value) == size and all(isinstance(item, str) for item in value)


CHECKS: dict[str, Check] = {
    "contains_all": lambda text, words: all(word.lower() in text.lower() for word in words),
    "contains_any": lambda text, words: any(word.lower() in text.lower() for word in words),
    "excludes": lambda text, words: not any(word.lower() in text.lower() for word in words),
    "exact": lambda text, value: text.strip() == value,
    "starts_with": lambda text, value: text.strip().startswith(value),
    "ends_with": lambda text, value: text.strip().rstrip(".!?").endswith(value),
    "number": lambda text, value: find_last_number(text) == value,
    "words_max": lambda text, most: len(text.split()) <= most,
    "sentences": lambda text, number: count_sentences(text) == number,
    "lines": lambda text, number: len(text.strip().splitlines()) == number,
    "bullets": lambda text, number: is_list(text, number, lambda _: "- "),
    "numbered": lambda text, number: is_list(text, number, lambda line: f"{line}."),
    "json_keys": has_keys,
    "json_array": is_array_of_texts,
    "lowercase": lambda text, _: text == text.lower(),
    "all": lambda text, checks: all(meets_check(text, check) for check in checks),
}


def meets_check(text: str, check: dict[str, Any]) -> bool:
    return CHECKS[check["kind"]](text, check.get("value"))


class PromptCheck(Judge):
    """Rates a response by the condition in its prompt's `meta.check`."""

    kind = "verifier"
    is_cheap = True

    def questions(self, item: PromptItem) -> Iterator[Question]:
        return ask_each_response(item)

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        return [self.rate_response(question) for question in questions]

    def rate_response(self, question: Question) -> Answer:
        check = json.loads(question.item.meta or "{}").get("check")
        if check is None:
            return abstain("the prompt has no `check`")
        return from_rating(float(meets_check(question.a.final_text, check)))
