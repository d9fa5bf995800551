"""Options of a section that one run changes: all optional; null means "as in the file"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NewType, Optional

from pydantic import BaseModel, ConfigDict, Field, create_model

from curate.config.aggregate import AggregateSection
from curate.config.evaluate import EvaluateSection
from curate.config.judge import JudgeSection
from curate.config.report import ReportSection
from curate.config.train import TrainSection
from curate.config.verify import VerifySection
from curate.core.section import Section


def make_optional(name: str, section: type[Section]) -> type[BaseModel]:
    """Make a model with the options of a section, each null unless it is to change; the section itself checks them."""
    fields: dict[str, Any] = {
        key: (Optional[field.annotation], Field(None, description=field.description))  # noqa: UP045
        for key, field in section.model_fields.items()
    }
    return create_model(name, __config__=ConfigDict(extra="forbid"), __doc__=section.__doc__, **fields)


if TYPE_CHECKING:  # for type checkers, models whose fields nobody reads by name
    JudgeChanges = NewType("JudgeChanges", BaseModel)
    AggregateChanges = NewType("AggregateChanges", BaseModel)
    TrainChanges = NewType("TrainChanges", BaseModel)
    EvaluateChanges = NewType("EvaluateChanges", BaseModel)
    VerifyChanges = NewType("VerifyChanges", BaseModel)
    ReportChanges = NewType("ReportChanges", BaseModel)
else:
    JudgeChanges = make_optional("JudgeChanges", JudgeSection)
    AggregateChanges = make_optional("AggregateChanges", AggregateSection)
    TrainChanges = make_optional("TrainChanges", TrainSection)
    EvaluateChanges = make_optional("EvaluateChanges", EvaluateSection)
    VerifyChanges = make_optional("VerifyChanges", VerifySection)
    ReportChanges = make_optional("ReportChanges", ReportSection)


def list_changes(changes: BaseModel | None) -> dict[str, Any]:
    """List the options that change; values of nested sections as the file would have them."""
    return {} if changes is None else changes.model_dump(exclude_none=True, exclude_unset=True)
