"""Where a judge's rubric comes from: a file, a folder with rubrics of single prompts, or the prompt's own `meta`.

rubric: rubrics/helpful.yaml       # one for all prompts
rubric: rubrics/mine               # a folder: each rubric is for its `prompt_id`; one without is for all others
rubric: {meta: criteria}           # each prompt's own: a list of sentences, of criteria, or a rubric
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from curate.config.validation import validate_options
from curate.core.errors import CurateError
from curate.core.section import Section
from curate.data.features import FEATURES
from curate.data.rubric import MOST_CRITERIA, Rubric, read_rubric
from curate.data.rubric_text import name_criterion
from curate.engine.base import Failure
from curate.judge.base import PromptItem
from curate.judge.checks import read_meta_entry
from curate.judge.timed_checks import CheckError


class RubricOfPrompt(Section):
    """Rubrics that come with the prompts."""

    meta: str = Field(description="Entry of each prompt's `meta` that holds its criteria.")


RubricChoice = str | RubricOfPrompt


@dataclass(frozen=True, slots=True)
class RubricSource:
    """The rubrics of a judge.

    Attributes:
        common: The rubric of prompts that have none of their own.
        by_prompt: Prompt id → its rubric.
        meta: Entry of a prompt's `meta` that holds its criteria, where they come from there.
    """

    common: Rubric | None = None
    by_prompt: Mapping[str, Rubric] | None = None
    meta: str | None = None

    @classmethod
    def load(cls, choice: RubricChoice, *, folder: Path, where: str) -> RubricSource:
        """Read the rubrics that an option names.

        Args:
            choice: Value of the option.
            folder: Folder where relative paths start.
            where: Key of curate.yaml, for error messages.

        Raises:
            CurateError: There are none, or one of them is wrong.
        """
        if isinstance(choice, RubricOfPrompt):
            return cls(meta=choice.meta)
        path = folder / choice
        if not path.is_dir():
            rubrics = [read_rubric(path)]
        else:
            rubrics = [read_rubric(file) for file in sorted(path.glob("*.yaml"))]
            if not rubrics:
                raise CurateError(f"`{where}` names the folder {path}, which holds no rubric (*.yaml).")
        common = [rubric for rubric in rubrics if rubric.prompt_id is None]
        if len(common) > 1:
            names = ", ".join(rubric.name for rubric in common)
            raise CurateError(
                f"`{where}` names the folder {path}, in which {len(common)} rubrics are for all prompts ({names}): "
                "name one of these files."
            )
        by_prompt: dict[str, Rubric] = {}
        for rubric in rubrics:
            if rubric.prompt_id is not None and by_prompt.setdefault(rubric.prompt_id, rubric) is not rubric:
                raise CurateError(
                    f"`{where}`: {path} has two rubrics for the prompt {rubric.prompt_id}: remove one of them."
                )
        return cls(common[0] if common else None, by_prompt)

    @property
    def identity(self) -> Sequence[object]:
        """Return what identifies the rubrics; a prompt's own criteria are part of the prompt."""
        own = sorted((prompt, rubric.revision) for prompt, rubric in (self.by_prompt or {}).items())
        return ("rubric", None if self.common is None else self.common.revision, own, self.meta)

    @property
    def rubrics(self) -> tuple[Rubric, ...]:
        """All rubrics that are known beforehand."""
        common = () if self.common is None else (self.common,)
        return (*common, *(self.by_prompt or {}).values())

    def find_rubric(self, item: PromptItem) -> Rubric | Failure | None:
        """Return the rubric of a prompt; None if it has none, a Failure if what its `meta` holds is none."""
        if self.meta is None:
            return (self.by_prompt or {}).get(item.prompt_id, self.common)
        try:
            entry = read_meta_entry(item.meta, self.meta)
            return None if entry is None else _read_entry(entry, item.prompt_id)
        except (CheckError, CurateError) as error:
            reason = f"the prompt's criteria cannot be read: {' '.join(str(error).split())}"
            return Failure(reason, permanent=True)


def _read_entry(entry: Any, prompt_id: str) -> Rubric:
    given = entry.get("criteria") if isinstance(entry, Mapping) else entry
    if not isinstance(given, list) or not given:
        raise CurateError("they are neither a list of criteria nor a rubric with `criteria`")
    if len(given) > MOST_CRITERIA:
        raise CurateError(f"they are {len(given):,}, and a rubric has {MOST_CRITERIA:,} at most")
    criteria: list[Any] = []
    names = set[str]()
    for one in given:
        criterion = {"text": one} if isinstance(one, str) else one
        if isinstance(criterion, Mapping):
            if "name" not in criterion and isinstance(criterion.get("text"), str):
                criterion = {**criterion, "name": name_criterion(criterion["text"], names)}
            names.add(str(criterion.get("name")))
        criteria.append(criterion)
    about = dict(entry) if isinstance(entry, Mapping) else {}
    rubric = validate_options(
        Rubric, {"name": "prompt", **about, "prompt_id": prompt_id, "criteria": criteria}
    )
    for criterion in rubric.criteria:  # data may name what we have, and never code to be imported
        if criterion.feature is not None and criterion.feature not in FEATURES.names:
            raise CurateError(f"there is no feature {criterion.feature!r} in the library")
    return rubric
