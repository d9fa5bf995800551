"""Names of columns as people choose them: their words, and which two columns are sides of one pair."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

# fmt: off
PROMPTS = (
    "prompt", "instruction", "question", "query", "user prompt", "user query", "user input", "user message",
    "prompt text", "question text", "input prompt", "task prompt", "request", "messages", "conversation",
    "conversations", "input", "context", "post", "problem", "source text", "topic", "task", "text",
)
"""What prompts are called, the likeliest first."""

ANSWERS = frozenset({
    "response", "answer", "completion", "output", "generation", "reply", "candidate", "continuation", "summary",
    "conversation", "assistant", "text", "message", "argument", "solution", "ref", "option",
    "responses", "answers", "completions", "outputs", "generations", "replies", "candidates", "summaries", "texts",
    "messages", "prediction", "predictions", "sample", "samples",
})
MODELS = frozenset({"model", "models", "generator", "llm", "engine", "author", "writer", "bot", "policy"})
SCORES = frozenset({
    "score", "scores", "rating", "ratings", "reward", "rewards", "grade", "points", "quality", "stars",
})
FAULTS = frozenset({
    "toxicity", "toxic", "error", "errors", "harm", "harmful", "harmfulness", "unsafe", "risk", "perplexity", "ppl",
    "loss", "severity", "penalty", "cost", "wer", "distance", "hallucination", "hallucinations", "bias", "violation",
    "violations", "mistake", "mistakes", "badness", "refusal",
})
"""Words of scores of which less is better."""
CHANCES = frozenset({
    "prob", "probs", "probability", "probabilities", "winrate", "prefer", "prefers", "margin", "diff", "difference",
})
SWAPS = frozenset({
    "swap", "swapped", "flip", "flipped", "reversed", "shuffled", "order", "shown", "presentation", "presented",
})
"""Words of columns that say on which side an answer was shown."""
REACTIONS = frozenset({"feedback", "thumb", "thumbs", "reaction", "like", "liked", "upvote", "upvoted", "downvoted"})
CRITERIA = frozenset({"criterion", "aspect", "axis", "dimension"})
PEOPLE = frozenset({"human", "humans", "people", "crowd"})
RANKS = frozenset({"rank", "ranks", "ranking", "rankings", "position", "place", "placement"})
VERDICTS = frozenset({
    "winner", "winners", "preference", "preferred", "verdict", "choice", "label", "labels", "gold", "better", "best",
    "judgment", "judgement", "vote", "decision", "selected", "selection", "chosen", "win", "majority", "pick",
    "result", "outcome", "annotation",
})
WORSE = frozenset({"worse", "worst", "loser", "losing", "lost", "rejected", "bad", "dispreferred"})
"""Words of columns that name the answer that is not the better one."""
WORKERS = frozenset({"worker", "workerid", "rater", "labeler", "labeller", "assessor", "crowdworker"})
ANNOTATORS = WORKERS | {"annotator", "judge", "evaluator", "reviewer"}
SUMS = frozenset({"majority", "gold", "consensus", "final", "aggregate", "aggregated", "overall", "mode"})
WHOLE = frozenset({"overall", "general"})
"""Words of the verdict beside which others are about single criteria."""
REFERENCES = frozenset({
    "reference", "reference answer", "ground truth", "gold answer", "correct answer", "target",
})
_REFERENCE_WORDS = frozenset({"ref", "reference", "references", "gold", "truth", "target"})
SPEAKERS = frozenset({"speaker", "role", "from", "sender"})
RATIONALES = frozenset({
    "rationale", "reason", "explanation", "justification", "feedback", "comment", "critique", "review text",
})

UNDECIDED = (
    ("a", "b"), ("1", "2"), ("0", "1"), ("left", "right"), ("first", "second"), ("x", "y"), ("one", "two"), ("i", "j"),
    ("j", "k"),
)
"""Words that tell two sides apart, and not which of them is better."""

DECIDED = (
    ("chosen", "rejected"), ("preferred", "rejected"), ("preferred", "dispreferred"), ("accepted", "rejected"),
    ("chosen", "reject"), ("winner", "loser"), ("winning", "losing"), ("win", "lose"), ("better", "worse"), ("w", "l"),
    ("good", "bad"), ("positive", "negative"), ("pos", "neg"), ("selected", "rejected"), ("preferred", "unpreferred"),
    ("chosen", "unchosen"), ("selected", "unselected"), ("correct", "incorrect"), ("right", "wrong"),
)
"""Words of which the first is the better side's."""
# fmt: on

MODEL_NAMES = re.compile(
    r"gpt|claude|llama|gemini|mistral|qwen|deepseek|vicuna|prometheus|skywork|reward|(^|[^a-z])llm|\db$",
    re.IGNORECASE,
)
"""Parts of names that models have, and people hardly."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_NEGATIONS = frozenset({"non", "not"})
_PREFIXES = frozenset({"input", "inputs", "answer", "output", "outputs"})


def split_name(name: str) -> tuple[str, ...]:
    """Split a name into its words in lower case; the prefix of a crowd platform (`Input.`, `OUTPUT:`) is left out.

    >>> split_name("responseA"), split_name("Input.prompt"), split_name("answer1"), split_name("not_chosen")
    (('response', 'a'), ('prompt',), ('answer', '1'), ('unchosen',))
    """
    prefix, dot, rest = name.partition(":" if ":" in name else ".")
    if dot and rest and prefix.lower() in _PREFIXES:
        name = rest
    words = [word.lower() for word in _WORDS.findall(name)]
    for at, word in enumerate(words[:-1]):
        if word in _NEGATIONS:
            words[at : at + 2] = [f"un{words[at + 1]}"]
            break
    return tuple(words) or (name.lower(),)


def join_name(name: str) -> str:
    """Return the words of a name with blanks between them."""
    return " ".join(split_name(name))


@dataclass(frozen=True, slots=True)
class NamePair:
    """Two columns whose names differ in one word: `response_a`, `response_b`.

    `stem`: the words that they share; `sides`: the two words; `decided`: the first side is the better one.
    """

    a: str
    b: str
    stem: tuple[str, ...]
    sides: tuple[str, str]
    decided: bool


def find_pairs(names: Iterable[str]) -> list[NamePair]:
    """Find the columns that are two sides of a pair."""
    split = {name: split_name(name) for name in names}
    pairs = []
    for first, words in split.items():
        for second, others in split.items():
            if first != second and len(words) == len(others):
                pair = _compare_names(first, second, words, others)
                if pair is not None:
                    pairs.append(pair)
    return pairs


def _compare_names(
    first: str, second: str, words: tuple[str, ...], others: tuple[str, ...]
) -> NamePair | None:
    differences = [i for i, (word, other) in enumerate(zip(words, others, strict=True)) if word != other]
    if len(differences) != 1:
        return None
    place = differences[0]
    sides = (words[place], others[place])
    stem = (*words[:place], *words[place + 1 :])
    if sides in DECIDED:
        return NamePair(first, second, stem, sides, decided=True)
    return NamePair(first, second, stem, sides, decided=False) if sides in UNDECIDED else None


def has_word(name: str, words: Collection[str]) -> bool:
    """Tell whether one of the words of a name, or all of them together, are among others."""
    return join_name(name) in words or any(word in words for word in split_name(name))


def is_reference(name: str) -> bool:
    """Tell whether a column holds a right answer to compare with, by its name, and not an answer of a model."""
    return join_name(name) in REFERENCES or bool(_REFERENCE_WORDS & set(split_name(name)))
