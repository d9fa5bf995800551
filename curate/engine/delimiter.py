"""Delimiters: the words between which a judge's prompt shows texts of others.

A delimiter has to be unknown to whoever wrote a text, for a model may take what merely resembles it for the end of the
frame. So it depends on a key that lies in the workspace (`delimiters.key`) and in no table. It depends on nothing else
but the prompt: all questions about a prompt begin alike, for engines that compute common beginnings once, and a run
that goes on later asks the very same. It occurs in no text, in no spelling: not with zero-width characters, blanks or
marks within, in full-width letters, or with accents.

What identifies a judge or a question (revisions, judgment ids) never held the delimiter. What identifies a request in
a recording, and what is exported, holds the public word instead, which the prompt alone determines.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b

from curate.core.errors import CurateError
from curate.core.identity import content_id
from curate.engine.base import Delimiter
from curate.engine.registry import Engines

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_ATTEMPTS = 1 << 20
_OTHERS = re.compile("[^a-z]+")
# Letters of other scripts that look like those of delimiters, and that Unicode calls no variants of them.
_RESEMBLING = {
    "a": "аᴀα4",
    "b": "вƅ8",
    "d": "ԁᴅ",
    "e": "еᴇε3",
    "f": "ꜰ",
    "g": "ɡɢ",
    "i": "іɪıιⅰ",
    "k": "кᴋκ",
    "l": "ʟł1ⅼ",
    "m": "мᴍⅿ",
    "n": "нɴո",
    "o": "оᴏοօ0",
    "p": "рᴘρ",
    "r": "гʀ",
    "s": "ѕꜱ5",
    "t": "тᴛτ7",
    "u": "ᴜυս",
    "v": "ᴠν",
    "z": "ᴢ",
}
_LOOK_ALIKES = {ord(other): letter for letter, others in _RESEMBLING.items() for other in others}


def draw_delimiter(engines: Engines, prompt_id: str, texts: Iterable[str]) -> Delimiter:
    """Draw the delimiter of a prompt.

    Args:
        engines: Engines of the workspace that has the key.
        prompt_id: Id of the prompt; "" for a trial that nobody is asked, which needs no key.
        texts: Texts in which it must not occur.
    """
    texts = list(texts)
    public = make_delimiter(prompt_id, texts)
    if not prompt_id:
        return Delimiter(public, public)
    key = blake2b(engines.delimiter_key).digest()
    folded = [*map(fold_letters, texts), *(text.lower() for text in texts)]
    for word in _draw_words(blake2b(prompt_id.encode(), key=key).hexdigest()):
        if word != public and not any(word in text for text in folded):
            return Delimiter(word, public)
    raise AssertionError("unreachable")


def make_delimiter(identity: str, texts: Iterable[str]) -> str:
    """Return the public delimiter: a word that occurs in none of `texts`, the first of those that `identity` draws."""
    lower = [text.lower() for text in texts]
    return next(word for word in _draw_words(identity) if not any(word in text for text in lower))


@lru_cache(1024)
def fold_letters(text: str) -> str:
    """Return the letters of a text as plain a to z: look-alikes replaced, and all else left out."""
    plain = unicodedata.normalize("NFKD", text).lower().translate(_LOOK_ALIKES)
    return _OTHERS.sub("", plain)


def _draw_words(seed: str) -> Iterator[str]:
    """Draw made-up words. Pronounceable, since tokenizers take such a word in two or three tokens."""
    for attempt in range(_ATTEMPTS):
        number, word = int(content_id(seed, attempt), 16), ""
        for _ in range(4):
            number, consonant = divmod(number, len(_CONSONANTS))
            number, vowel = divmod(number, len(_VOWELS))
            word += _CONSONANTS[consonant] + _VOWELS[vowel]
        yield word
    raise CurateError("No delimiter could be found that is free of the candidates' texts.")
