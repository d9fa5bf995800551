"""Pseudonyms: people are known in the lake, in exports and reports by a keyed hash, never by name or address.

>>> Pseudonyms(b"secret").of("Ada@example.com") == Pseudonyms(b"secret").of("ada@example.com")
True
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from curate.config.project import Config
from curate.core.errors import CurateError
from curate.core.secret_key import read_or_make_key

_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[A-Za-z]{2,}")

KEY_VARIABLE = "CURATE_ANNOTATOR_KEY"


@dataclass(frozen=True, slots=True, repr=False)
class Pseudonyms:
    """The same person has the same pseudonym in a workspace, and another one in each other workspace.

    The key lies beside the lake, not in it, so that who has the data cannot try names until one fits. It is made
    when first needed; workspaces on several machines share one through the environment (`CURATE_ANNOTATOR_KEY`).
    """

    key: bytes

    @classmethod
    def open(cls, config: Config) -> Pseudonyms:
        if given := os.environ.get(KEY_VARIABLE):
            return cls(given.encode())
        path = config.resolve(config.workspace) / "annotators.key"
        try:
            return cls(read_or_make_key(path))
        except OSError as error:
            raise CurateError(
                f"Cannot read or write the key of pseudonyms {path}: {error.strerror}."
            ) from error

    def of(self, person: str) -> str:
        """`person`: what identifies them where they work, best an e-mail address; case and blanks do not matter."""
        name = person.strip().lower().encode()
        return f"person-{blake2b(name, key=blake2b(self.key).digest(), digest_size=8).hexdigest()}"


@lru_cache(maxsize=4096)
def is_full_name(name: str) -> bool:
    """Tell whether a name is a person's by its form: words of letters, of which the first and the last are capitalised.

    >>> is_full_name("Ada Lovelace"), is_full_name("Lovelace, A."), is_full_name("W17"), is_full_name("crowd worker")
    (True, True, False, False)
    """
    words = name.replace(",", " ").replace(".", " ").split()
    letters = all(word.replace("-", "").replace("'", "").replace("’", "").isalpha() for word in words)
    return len(words) >= 2 and letters and words[0][0].isupper() and words[-1][0].isupper()


def is_address(name: str) -> bool:
    """Tell whether a name is an e-mail address.

    >>> is_address("Ada@example.org"), is_address("gpt-4@2023.05"), is_address("W17")
    (True, False, False)
    """
    return "@" in name and _ADDRESS.fullmatch(name.strip()) is not None
