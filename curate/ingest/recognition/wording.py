"""The wording of a verdict: a tie, both bad, no answer, or one side and by how much.

Surveys say "Both are equally good", "Response A is slightly better", "I strongly prefer B", "Cannot tell". A word that
is not known here makes the whole value unknown: "A is not better" and "B is worse" say the opposite of other words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from curate.config.mapping import StatedOutcome
from curate.ingest.recognition.names import split_name

# fmt: off
_FILLERS = frozenset({
    "response", "answer", "model", "assistant", "output", "option", "completion", "system", "candidate", "text",
    "summary", "generation", "conversation", "reply", "argument", "the", "is", "was", "i", "would", "better",
    "best", "win", "wins", "winner", "choice", "prefer", "prefers", "preferred", "preferable",
})
_ARTICLE = r"a(?= (?:bit|little|lot|tie|draw)\b)"
_OTHER_SIDE = ("than", "over", "to")  # what comes after is the side that lost
_PLAIN = 2  # "A is better"
_DEGREES = {
    **dict.fromkeys(("slightly", "slight", "somewhat", "marginally", "bit", "little", "weakly", "barely"), 1),
    **dict.fromkeys(("moderately", "fairly"), _PLAIN),
    **dict.fromkeys((
        "much", "far", "lot", "way", "significantly", "considerably", "substantially", "strongly", "clearly",
        "definitely", "very",
    ), 3),
}
_PADDING = frozenset({
    "it", "s", "is", "are", "i", "m", "am", "the", "they", "them", "of", "about", "roughly", "nearly", "almost",
    "as", "quality", "in", "and", "or", "both", "equally", "responses", "answers", "outputs", "models",
    "options", "summaries", "completions",
})
_TIES = frozenset({"tie", "tied", "ties", "equal", "same", "draw", "similar", "equivalent", "comparable"})
_GOOD = frozenset({"good", "great", "fine"})
_BAD = frozenset({"bad", "bothbad", "poor", "terrible"})
_NEITHER = frozenset({"neither", "none"})
_BETTER = frozenset({"better", "best", "preferred", "wins", "winner"})
_NO_DIFFERENCE = frozenset({"no", "difference", "preference", "winner", "clear", "real"})
_ABSTAIN = frozenset({"abstain", "unsure", "skip", "skipped", "unknown", "unclear"})
_TELL = frozenset({"sure", "tell", "decide", "say", "know", "judge"})
_NOT = frozenset({"not", "cannot", "t", "hard", "difficult"})
_UNABLE = _TELL | _NOT | {"can", "do", "don", "to"}
_FAILED = frozenset({"failed", "invalid", "error"})
# fmt: on


def split_phrase(text: str) -> list[str]:
    """Split a value into its words in lower case, without the article of "a bit" and "a tie"."""
    return [word for word in split_name(re.sub(rf"\b{_ARTICLE}", "", text, flags=re.IGNORECASE)) if word]


def read_no_side(words: Sequence[str]) -> StatedOutcome | None:
    """Return what a value says that names no side, or None."""
    whole = frozenset(words)
    rest = whole - _PADDING
    if not rest:
        return "tie" if whole & {"both", "equally"} else None
    if rest <= _FAILED:
        return "failed"
    if rest <= _ABSTAIN or (rest <= _UNABLE and rest & _TELL and rest & _NOT):
        return "abstain"
    if "no" in rest and len(rest) > 1 and rest <= _NO_DIFFERENCE:
        return "tie"
    if rest & _NEITHER:
        return "tie" if rest & _BETTER and rest <= _NEITHER | _BETTER else _read_neither(rest)
    shared = whole & {"both", "equally", "all"} or rest & (_TIES | {"bothbad"})
    if shared and rest & _BAD and rest <= _BAD | _TIES:
        return "both_bad"
    if shared and rest & _GOOD and rest <= _GOOD | _TIES:
        return "both_good"
    return "tie" if rest <= _TIES else None


def _read_neither(rest: frozenset[str]) -> StatedOutcome | None:
    return "both_bad" if rest <= _NEITHER | _GOOD else None


def read_side(words: Sequence[str], stem: Collection[str]) -> tuple[str, int]:
    """Return the words of a value that tell the sides apart, and by how much this side is better: 1 to 3.

    Args:
        words: The words of the value.
        stem: The words that the columns of both sides have.
    """
    places = [place for place, word in enumerate(words) if word in _OTHER_SIDE and place > 0]
    words = words[: places[0]] if places else words
    degrees = [_DEGREES[word] for word in words if word in _DEGREES]
    rest = [word for word in words if word not in _DEGREES and word not in _FILLERS and word not in stem]
    return " ".join(rest or words), max(degrees, default=_PLAIN)


def read_comparison(text: str) -> tuple[str, int] | None:
    """Return the better side of `A>B` and by how much, `tie` for `A=B`; None where a value is no such comparison."""
    match = re.fullmatch(r"\W*?(\w+)\s*(>{1,3}|<{1,3}|={1,2}|≈)\s*(\w+)\W*", text)
    if match is None:
        return None
    first, sign, second = match.groups()
    if sign[0] in "=≈":
        return "tie", 0
    return (first if sign[0] == ">" else second).lower(), len(sign)


def mirror_phrase(text: str, word: str, sides: tuple[str, str]) -> str:
    """Return the value that the other side would have: `model_a` for `model_b`, "A is better" for "B is better".

    Args:
        text: The value.
        word: Its side.
        sides: Both sides' words.
    """
    either = "|".join(re.escape(side) for side in sides)
    whole = rf"(?!{_ARTICLE})(?<![^\W_])(?:{either})(?![^\W_])"
    mirrored, count = re.subn(whole, lambda match: _swap(match[0], sides), text, flags=re.IGNORECASE)
    if count:
        return mirrored
    start = text.lower().rfind(word)  # as in `responseA`
    end = start + len(word)
    return text if start < 0 else f"{text[:start]}{_swap(text[start:end], sides)}{text[end:]}"


def _swap(word: str, sides: tuple[str, str]) -> str:
    other = sides[1] if word.lower() == sides[0] else sides[0]
    return other.upper() if word.isupper() else other.capitalize() if word[:1].isupper() else other
