"""Content: what a response has to say, as far as words alone show it (English)."""

from __future__ import annotations

import re

from curate.data.features.base import FeatureItem, TextView, add_feature, find_words

_EXAMPLES = find_words(
    "for example", "for instance", "e\\.g", "such as", "to illustrate", "examples?", "like when"
)
_REASONS = find_words(
    "because", "since", "therefore", "thus", "hence", "so that", "as a result", "due to", "leads? to", "which means",
    "reasons?", "consequently", "that's why", "that is why",
)  # fmt: skip
_CONTRASTS = find_words(
    "but", "however", "although", "though", "on the other hand", "whereas", "while", "nevertheless", "despite",
    "in contrast", "instead", "yet",
)  # fmt: skip
_CAUTIONS = find_words(
    "be careful", "warning", "caution", "consult", "seek (?:professional|medical|legal)", "doctor", "lawyer",
    "professional", "illegal", "against the law", "dangerous", "harmful", "risks?", "safety", "unsafe",
)  # fmt: skip
_ADVICE = find_words(
    "you should", "you could", "you can", "try", "consider", "make sure", "i recommend", "i suggest", "i'd recommend",
    "i'd suggest", "recommended",
)  # fmt: skip
_EVIDENCE = find_words(
    "according to", "studies", "study", "research", "evidence", "statistics", "data", "scientists", "experts?",
    "proven", "percent", "survey", "sources?",
)  # fmt: skip
_STRETCH = 25  # words
_NUMBER = re.compile(r"(?<![\w.])\d++(?:[.,]\d++)*+")
_LINK = re.compile(r"https?://|www\.")
_QUOTED = re.compile(r"[\"“][^\"“”\n]{2,200}[\"”]")
_NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][a-z]++")


def _add_rate(name: str, words: re.Pattern[str], sentence: str, more: str, less: str) -> None:
    add_feature(name, "content", sentence, more, less)(lambda item: item.response.rate(words))


_add_rate(
    "examples", _EXAMPLES, "The response gives examples.", "gives more examples", "gives fewer examples"
)
_add_rate("reasons", _REASONS, "The response gives reasons.", "gives more reasons", "gives fewer reasons")
_add_rate(
    "contrasts", _CONTRASTS, "The response weighs one thing against another.", "weighs more", "weighs less"
)
_add_rate("cautions", _CAUTIONS, "The response warns or refers to experts.", "warns more", "warns less")
_add_rate("advice", _ADVICE, "The response advises the reader what to do.", "advises more", "advises less")
_add_rate(
    "evidence", _EVIDENCE, "The response appeals to evidence.", "cites more evidence", "cites less evidence"
)


def _rate_raw(view: TextView, pattern: re.Pattern[str]) -> float | None:
    """Return matches in 100 words of the prose as it is written."""
    if not view.words:
        return None
    return 100.0 * sum(1 for _ in pattern.finditer(view.prose)) / (len(view.words) + 10)


@add_feature("numbers", "content", "The response gives numbers.", "gives more numbers", "gives fewer numbers")
def measure_numbers(item: FeatureItem) -> float | None:
    """Return numbers in 100 words; those that number a list count too."""
    return _rate_raw(item.response, _NUMBER)


@add_feature("names", "content", "The response names people, places or things.", "names more", "names less")
def measure_names(item: FeatureItem) -> float | None:
    """Return capitalised words inside a sentence, in 100 words."""
    return _rate_raw(item.response, _NAME)


@add_feature("links", "content", "The response contains a link.", "has more links", "has fewer links")
def measure_links(item: FeatureItem) -> float | None:
    """Return web addresses in 100 words."""
    return _rate_raw(item.response, _LINK)


@add_feature("quotations", "content", "The response quotes.", "quotes more", "quotes less")
def measure_quotations(item: FeatureItem) -> float | None:
    """Return quoted phrases in 100 words."""
    return _rate_raw(item.response, _QUOTED)


@add_feature(
    "specific", "content", "The response uses specific words.", "uses longer, rarer words",
    "uses shorter, commoner words",
)  # fmt: skip
def measure_specificity(item: FeatureItem) -> float | None:
    """Return the share of words of at least seven letters."""
    words = item.response.words
    return sum(len(word) >= 7 for word in words) / len(words) if len(words) >= 5 else None


@add_feature(
    "varied", "content", "The response uses varied words.", "uses more varied words", "uses less varied words"
)
def measure_variety(item: FeatureItem) -> float | None:
    """Return the mean share of distinct words in stretches of 25, which does not depend on length."""
    words = item.response.words
    starts = range(0, len(words) - _STRETCH + 1, _STRETCH)
    if not starts:
        return None
    return sum(len(set(words[start : start + _STRETCH])) for start in starts) / (_STRETCH * len(starts))
