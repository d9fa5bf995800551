"""The kinds of filters by name, and the filters of a project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.config.validation import validate_options
from curate.core.identity import content_id
from curate.core.registry import Registry
from curate.filter.base import Filter

_KINDS = "curate.filter.kinds"

FILTERS: Registry[Filter] = Registry(
    "filter",
    Filter,  # type: ignore[type-abstract]
    builtin={
        "duplicates": f"{_KINDS}.duplicates:Duplicates",
        "semantic-duplicates": f"{_KINDS}.semantic_duplicates:SemanticDuplicates",
        "contamination": f"{_KINDS}.contamination:Contamination",
        "personal-data": f"{_KINDS}.personal_data:PersonalData",
        "names": f"{_KINDS}.names:Names",
        "special-tokens": f"{_KINDS}.special_tokens:SpecialTokens",
        "repetition": f"{_KINDS}.repetition:Repetition",
        "refusal": f"{_KINDS}.refusal:Refusal",
        "truncation": f"{_KINDS}.truncation:Truncation",
        "gibberish": f"{_KINDS}.gibberish:Gibberish",
        "length": f"{_KINDS}.length:Length",
        "cap": f"{_KINDS}.cap:Cap",
        "language": f"{_KINDS}.language:Language",
        "informativeness": f"{_KINDS}.informativeness:Informativeness",
        "one-sided": f"{_KINDS}.one_sided:OneSided",
        "aspect-consistency": f"{_KINDS}.aspect_consistency:AspectConsistency",
    },
)


@dataclass(frozen=True, slots=True)
class ConfiguredFilter:
    """A filter of curate.yaml. `revision` identifies what its decisions depend on beside the items."""

    name: str
    filter: Filter
    revision: str


def open_filters(
    filters: Sequence[Mapping[str, Any]], *, folder: Path, cache: Path | None = None
) -> list[ConfiguredFilter]:
    """Open the filters of curate.yaml.

    Args:
        filters: The section `filter`, in which every filter has a name.
        folder: Folder of curate.yaml, where relative files start.
        cache: Folder in which filters keep embeddings.

    Raises:
        CurateError: There is no such kind, or an option is not as it should be.
    """
    opened = []
    for number, given in enumerate(filters):
        where = f"filter[{number}]"
        part = FILTERS.find(given.get("kind"), where=f"{where}.kind", folder=folder)
        options = validate_options(part.type.Options, given, where=where)
        made = part.type(options, folder=folder)
        made.cache = cache
        revision = content_id(made.version, part.code, options.model_dump(mode="json"), list(made.inputs))
        opened.append(ConfiguredFilter(options.name, made, revision))
    return opened


def build_filter_schemas() -> dict[str, dict[str, Any]]:
    """Build the JSON Schema of the options of each kind of ours."""
    schemas = {}
    for kind, part in FILTERS.registered.items():
        schema = part.Options.model_json_schema()
        schema["properties"]["kind"] = {"const": kind}
        schema["required"] = [name for name in schema.get("required", []) if name != "name"]
        schemas[kind] = schema
    return schemas
