"""Tasks and annotations as Label Studio exports them: data of anybody who has a key of the server, checked here.

    [{"id": 5, "data": {"task": …, "form": "pairwise", "order": […]}, "annotations": [{"id": 7, "result": [
        {"from_name": "verdict", "value": {"choices": ["left-2"]}}]}]}]

Whatever has another shape is an `UnreadableAnswerError` of its own, and costs no other answer.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, FiniteFloat, ValidationError

_Model = TypeVar("_Model", bound=BaseModel)
_MOST_CHARACTERS = 1 << 20  # of one text


class UnreadableAnswerError(ValueError):
    """An answer is none that its form gives: whoever has a key of the server can store anything."""


def _refuse_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a character that no text has")
    return text


def _read_user(value: Any) -> Any:
    """Take the id of a user that is given as an object."""
    return value.get("id") if isinstance(value, dict) else value


def _read_seconds(value: object) -> float:
    """Take how long it took; what is no such time says nothing, and the answer counts all the same."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < 1e9 else 0.0  # type: ignore[operator, arg-type]  # a number


Text = Annotated[str, Field(max_length=_MOST_CHARACTERS), AfterValidator(_refuse_nul)]
Id = Annotated[int, Field(ge=0, lt=1 << 63)]
User = Annotated[Id | None, BeforeValidator(_read_user)]


class ShownCriterion(BaseModel):
    """A criterion as a list shows it."""

    value: Text


class StoredCriterion(BaseModel):
    """A criterion as the task was filled with it."""

    id: Text
    name: Text
    text: Text
    weight: FiniteFloat = 1.0


class TaskData(BaseModel):
    """Data of a task that reading its answers needs."""

    task: Text | None = None
    form: Text
    order: list[Text] = Field(max_length=1000)
    revision: Text = "label-studio"
    assist: bool = False
    criteria: list[ShownCriterion] = []
    asked_criteria: list[StoredCriterion] | None = None


class RegionValue(BaseModel):
    """The content of a control; each kind of control has its own field."""

    choices: list[Text] = []
    ranker: dict[str, list[Text]] = {}
    text: Text | list[Text] = ""
    labels: list[Text] = []
    start: int | Text | None = None
    end: int | Text | None = None


class Region(BaseModel):
    """An answer to one control of the form."""

    from_name: Text | None = None
    value: RegionValue = RegionValue()


class ExportedAnnotation(BaseModel):
    """An annotation: the answer of a person to a task."""

    id: Id
    completed_by: User = None
    updated_by: User = None
    was_cancelled: bool | None = None
    lead_time: Annotated[float, BeforeValidator(_read_seconds)] = 0.0
    updated_at: datetime | None = None
    result: list[Region] | None = None

    @property
    def changed_at(self) -> datetime:
        """When it was changed last, for comparing; one without a time is older than any."""
        time = self.updated_at or datetime(1, 1, 1, tzinfo=UTC)
        return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


class ExportedTask(BaseModel):
    """A task; each of its annotations is read on its own."""

    id: Id
    key: str | None
    data: Any
    annotations: list[Any]


def read_task(item: Any) -> ExportedTask | None:
    """Read a task of an export; None where it is none."""
    data = item.get("data") if isinstance(item, dict) else None
    if not isinstance(data, dict):
        return None
    try:
        key = data.get("task") if isinstance(data.get("task"), str) else None
        return ExportedTask(id=item.get("id"), key=key, data=data, annotations=item.get("annotations") or [])
    except ValidationError:
        return None


def read_task_data(data: Any) -> TaskData:
    """Read the data of a task.

    Raises:
        UnreadableAnswerError: It has another shape.
    """
    return _parse(TaskData, data)


def read_annotation(annotation: Any) -> ExportedAnnotation:
    """Read an annotation.

    Raises:
        UnreadableAnswerError: It has another shape.
    """
    return _parse(ExportedAnnotation, annotation)


def read_author(annotation: Any) -> int | None:
    """Return the id of who made an annotation, where that much can be read.

    Raises:
        UnreadableAnswerError: It cannot.
    """
    author = annotation.get("completed_by") if isinstance(annotation, dict) else "unknown"
    return _parse(ExportedAnnotation, {"id": 0, "completed_by": author}).completed_by


def _parse(kind: type[_Model], value: Any) -> _Model:
    try:
        return kind.model_validate(value)
    except (ValidationError, OverflowError) as error:
        count = error.error_count() if isinstance(error, ValidationError) else 1
        raise UnreadableAnswerError(f"{count} values of another shape than {kind.__name__}") from None
