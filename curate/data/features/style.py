"""Style: how a response speaks (English words; other languages measure alike on both sides, and count nothing)."""

from __future__ import annotations

import re

from curate.data.features.base import FeatureItem, add_feature, find_words
from curate.data.refusals import is_refusal

_HEDGES = find_words(
    "maybe", "perhaps", "possibly", "probably", "might", "may", "could", "seems?", "appears?", "likely",
    "i think", "i believe", "i guess", "i'm not sure", "i am not sure", "not certain", "it depends", "generally",
    "usually", "typically", "sometimes", "somewhat", "in some cases", "kind of", "sort of",
)  # fmt: skip
_BOOSTERS = find_words(
    "definitely", "certainly", "absolutely", "clearly", "obviously", "undoubtedly", "without a doubt", "always",
    "never", "must", "of course", "surely", "indeed", "truly", "extremely",
)  # fmt: skip
_FLATTERY = find_words(
    "(?:what an? |that's an? |that is an? |such an? )?(?:great|excellent|good|wonderful|fantastic|interesting|amazing)"
    " (?:question|point|idea|choice|job|observation|thought)", "you're (?:absolutely |completely |totally )?right",
    "you are (?:absolutely |completely |totally )?right", "i (?:completely|totally|fully) agree", "well done",
    "i love (?:your|that|this)", "i'm glad you asked", "i am glad you asked", "how (?:wonderful|exciting|insightful)",
)  # fmt: skip
_APOLOGIES = find_words(
    "sorry", "apologi[sz]e", "apologies", "my mistake", "forgive me", "unfortunately", "i regret"
)
_OFFERS = find_words(
    "let me know", "feel free to", "happy to help", "glad to help", "hope (?:this|that|it) helps",
    "would you like me to", "do you want me to", "anything else i can", "if you have any (?:other |more |further )?",
    "i can help", "i'd be happy", "i would be happy",
)  # fmt: skip
_SELF = find_words("i", "i'm", "i've", "i'd", "i'll", "me", "my", "mine", "myself")
_READER = find_words("you", "you're", "you've", "you'd", "you'll", "your", "yours", "yourself")
_POLITE = find_words("please", "thank you", "thanks", "you're welcome", "you are welcome", "welcome")
_FILLERS = find_words(
    "as i (?:said|mentioned)", "it is important to note", "it's important to note", "it's worth noting",
    "it is worth noting", "in conclusion", "in summary", "overall", "needless to say", "basically", "actually",
    "in order to", "delve", "the fact that",
)  # fmt: skip
_CONTEMPT = find_words(
    "stupid", "idiots?", "dumb", "shut up", "moron", "hate you", "damn", "crap", "fuck\\w*", "shit\\w*", "asshole",
    "bitch\\w*", "loser", "pathetic",
)  # fmt: skip
_VOWELS = re.compile(r"[aeiouy]++")
_POINT = re.compile(r"\s*+(?:[-*•+]|\d{1,3}[.)])\s")  # the beginning of a point of a list


def _add_rate(
    name: str, words: re.Pattern[str], sentence: str, more: str, less: str, *, tempts: int = 0
) -> None:
    add_feature(name, "style", sentence, more, less, tempts=tempts)(lambda item: item.response.rate(words))


_add_rate("hedges", _HEDGES, "The response hedges.", "hedges more", "hedges less")
_add_rate(
    "boosters", _BOOSTERS, "The response asserts with emphasis.", "asserts with more emphasis",
    "asserts with less emphasis",
)  # fmt: skip
_add_rate(
    "flattery", _FLATTERY, "The response praises or agrees with the user for its own sake.", "flatters more",
    "flatters less",
)  # fmt: skip
_add_rate("apologies", _APOLOGIES, "The response apologises.", "apologises more", "apologises less")
_add_rate(
    "offers",
    _OFFERS,
    "The response offers further help.",
    "offers more further help",
    "offers less further help",
)
_add_rate(
    "first-person", _SELF, "The response speaks of itself.", 'says "I" more often', 'says "I" less often'
)
_add_rate(
    "second-person", _READER, "The response addresses the reader.", "addresses the reader more often",
    "addresses the reader less often",
)  # fmt: skip
_add_rate(
    "politeness", _POLITE, "The response is polite in so many words.", "is more polite", "is less polite"
)
_add_rate("fillers", _FILLERS, "The response uses filler phrases.", "uses more fillers", "uses fewer fillers")
_add_rate(
    "insults",
    _CONTEMPT,
    "The response insults or swears.",
    "insults or swears more",
    "insults or swears less",
)


@add_feature(
    "questions", "style", "The response asks questions.", "asks more questions", "asks fewer questions"
)
def measure_questions(item: FeatureItem) -> float | None:
    """Return question marks a sentence."""
    sentences = len(item.response.sentences)
    return item.response.prose.count("?") / sentences if sentences else None


@add_feature(
    "ends-asking", "style", "The response ends with a question.", "ends with a question",
    "does not end with a question",
)  # fmt: skip
def measure_ends_asking(item: FeatureItem) -> float | None:
    """Return 1 where the last character is a question mark, else 0."""
    text = item.response.prose.rstrip("\"') \n")
    return float(text.endswith(("?", "？"))) if text else None


@add_feature("refusal", "style", "The response declines to answer.", "declines", "does not decline")
def measure_refusal(item: FeatureItem) -> float:
    """Return 1 for a refusal or an empty response, else 0."""
    return float(not item.response.text.strip() or is_refusal(item.response.text))


@add_feature(
    "hard-to-read", "style", "The response is hard to read.", "has longer words and sentences",
    "has shorter words and sentences",
)  # fmt: skip
def measure_difficulty(item: FeatureItem) -> float | None:
    """Return the grade of Flesch and Kincaid (Kincaid et al. 1975), syllables counted as runs of vowels."""
    words, sentences = item.response.words, len(item.response.sentences)
    if len(words) < 5 or not sentences:
        return None
    syllables = sum(max(1, len(_VOWELS.findall(word))) for word in words)
    return max(-5.0, min(40.0, 0.39 * len(words) / sentences + 11.8 * syllables / len(words) - 15.59))


@add_feature(
    "repetition",
    "style",
    "The response repeats itself.",
    "repeats itself more",
    "repeats itself less",
)
def measure_repetition(item: FeatureItem) -> float | None:
    """Return the share of repeated word trigrams (seq-rep-3 of Welleck et al. 2020, section 6.1)."""
    words = item.response.words
    if len(words) < 12:
        return None
    grams = list(zip(words, words[1:], words[2:], strict=False))
    return 1.0 - len(set(grams)) / len(grams)


@add_feature(
    "unfinished", "style", "The response breaks off.", "breaks off in the middle of a sentence",
    "ends with a whole sentence",
)  # fmt: skip
def measure_break(item: FeatureItem) -> float | None:
    """Return 1 where the last line ends with a letter, a comma or a colon and is no point of a list, else 0."""
    text = item.response.text.rstrip()
    if len(item.response.words) < 8:
        return None
    last = text.rpartition("\n")[2]
    is_point = _POINT.match(last)
    return float(not is_point and (text[-1].isalnum() or text[-1] in ",:;-–—"))
