"""The forms in which people are asked: the one list that records, options and commands share."""

from __future__ import annotations

from typing import Literal

AskedAs = Literal["pairwise", "ranking", "pass-fail", "rubric", "critique"]
