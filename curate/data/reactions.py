"""Reactions of users to an answer in their next turn: thanks, a complaint, or the question once more (English).

Rules, for what is said plainly; most turns say nothing of the answer. That users' follow-ups carry such signals is
shown by Don-Yehiya et al. 2024 (arXiv 2407.10944), whose kinds of feedback the rules take up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

Reaction = Literal["thanks", "complaint", "repetition"]
REACTION_SCORES: Mapping[Reaction, float] = {"thanks": 1.0, "complaint": 0.0, "repetition": 0.0}
"""The rating of the answer that a reaction means."""

_HEAD = 200  # characters: a reaction comes first, and what is asked next comes after it
_START = (
    r"(?:^|[.!?,;:] )(?:(?:no|sorry|hmm+|but|well|ok(?:ay)?|oh|and|actually|thanks|unfortunately)[,.! ]+)*"
)
_ANSWER = r"(?:that|this|it|your (?:answer|code|response|solution|output|text))"
_NOT = r"(?:'s not|s not| is not| isn't| was not| wasn't)"
_COMPLAINTS = re.compile(
    rf"{_START}(?:"
    rf"{_ANSWER}{_NOT} (?:right|correct|true|what i|helpful|working|quite|an answer|it\b|good|how)"
    rf"|{_ANSWER}(?:'s| is| was) (?:still |just |all )?(?:wrong|incorrect|false|useless|nonsense|a mistake)\b"
    rf"|{_ANSWER} (?:still )?(?:doesn't|does not|didn't|did not) (?:even )?(?:work|help|answer|make|compile|run)\b"
    r"|you (?:didn't|did not|haven't|have not|forgot|missed|ignored|misunderstood|misread|failed|are wrong|keep|"
    r"made (?:a|an|the same) (?:mistake|error))\b"
    r"|(?:what )?i (?:asked (?:you )?(?:for|to|about)|meant|told you|(?:didn't|did not) (?:ask|want|mean))\b"
    r"|still (?:wrong|the same (?:error|mistake|problem)|not working|doesn't|does not)\b"
    r")|^(?:no\b(?![,.! ]*(?:problem|worries|thank|thanks|need|idea|matter|one))[,.!]|nope\b|wrong\b|incorrect\b"
    r"|try again\b|bad answer|useless)"
)
_THANKS = re.compile(
    r"^(?:(?:ok(?:ay)?|oh|ah|wow|yes|yeah|great|cool)[,.! ]+)?"
    r"(?:thanks?\b|thank you|thx\b|ty\b|many thanks|perfect\b|excellent\b|awesome\b|brilliant\b|amazing\b"
    r"|great (?:answer|job|work|explanation)|(?:well|nicely) done|good (?:answer|job|work)|nice (?:one|work|job)"
    r"|that(?:'s| is| was) (?:great|perfect|helpful|exactly|very helpful|right|correct|it\b)"
    r"|(?:that|it|this) (?:works?|worked|helps|helped)\b|exactly what i)"
)
_RESERVATION = re.compile(r"\b(?:but|however|although|except)\b")


def read_reaction(question: str, reply: str) -> Reaction | None:
    """Read what a user's next turn says of the answer; None where it says nothing, or both good and bad.

    >>> read_reaction("Sum 2 and 3.", "Thanks! And 4?"), read_reaction("Sum 2 and 3.", "No, that's wrong.")
    ('thanks', 'complaint')
    >>> read_reaction("Who wrote Faust, and when?", "who wrote Faust and when"), read_reaction("A?", "And Hamlet?")
    ('repetition', None)
    """
    head = " ".join(reply.replace("’", "'").lower().split())[:_HEAD]
    if _COMPLAINTS.search(head):
        return "complaint"
    if _THANKS.match(head):
        return None if _RESERVATION.search(head) else "thanks"
    return "repetition" if _repeats(question, reply) else None


def _repeats(question: str, reply: str) -> bool:
    """Tell whether a turn asks the same: at least 0.8 of both texts' words are shared, and three of them."""
    first, second = (set(re.findall(r"\w+", text.lower())) for text in (question, reply))
    return len(second) >= 3 and len(first & second) >= 0.8 * len(first | second)
