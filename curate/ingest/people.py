"""People in the meta of rows: what names them is kept as the pseudonym that annotators have, never as it came."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from curate.config.project import Config
from curate.data.pseudonym import Pseudonyms, is_address, is_full_name
from curate.ingest.verdicts import names_people

_ROLES = "annotator|worker|crowdworker|rater|labeler|labeller|reviewer|evaluator|participant|person|author"
_NAMES = re.compile(rf"(?:{_ROLES})?(?:full|first|last|real|sur)name|(?:{_ROLES})names?")
_WHO = re.compile(rf"(?:{_ROLES})s?")


class People:
    """Pseudonyms of a project, whose key is read or made when the first person comes."""

    def __init__(self, config: Config) -> None:
        self._open = cache(partial(Pseudonyms.open, config))

    def __call__(self, name: str) -> str:
        """Return the pseudonym of a name that is an e-mail address or a person's; any other name as it is."""
        return self.hide(name) if is_address(name) or is_full_name(name) else name

    def hide(self, name: str) -> str:
        """Return the pseudonym of a name, whatever it looks like."""
        return self._open().of(name)


def hide_people(meta: Mapping[str, Any], people: People) -> dict[str, Any]:
    """Put pseudonyms in the place of people's names and addresses in the columns of `meta`.

    Every text that is an e-mail address is one; in a column that names people (`annotator`, `worker_id`) a full name
    is too, and in one that holds names (`annotator_name`, `last_name`) whatever consists of letters.
    """
    return {name: _hide_value(value, _choose_rule(name, people), people) for name, value in meta.items()}


def _choose_rule(column: str, people: People) -> Callable[[str], str]:
    plain = re.sub(r"[^a-z]", "", re.split(r"[.:]", column.lower())[-1])
    if _NAMES.fullmatch(plain):
        return lambda text: people.hide(text) if _is_of_letters(text) else people(text)
    if names_people(column) or _WHO.fullmatch(plain):
        return people
    return lambda text: people.hide(text) if is_address(text) else text


def _is_of_letters(text: str) -> bool:
    return re.sub(r"[\s.,'’-]", "", text).isalpha()


def _hide_value(value: Any, rule: Callable[[str], str], people: People) -> Any:
    if isinstance(value, str):
        return rule(value)
    if isinstance(value, list):
        return [_hide_value(item, rule, people) for item in value]
    return hide_people(value, people) if isinstance(value, Mapping) else value
