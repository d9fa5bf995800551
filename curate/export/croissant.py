"""croissant.json: an export in Croissant 1.1 with properties of Croissant RAI 1.0 (MLCommons), for machines to read.

Formats: http://mlcommons.org/croissant/1.1 and http://mlcommons.org/croissant/RAI/1.0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curate.export.shards import WrittenPart

NAME = "croissant.json"

_CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "annotation": "cr:annotation",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "excludes": "cr:excludes",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "readLines": "cr:readLines",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
    "unArray": "cr:unArray",
    "value": "cr:value",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """The facts of croissant.json about a data set as a whole; texts are plain, without markup.

    Attributes:
        name: Name of the data set.
        about: What a row is.
        license: SPDX name, where one was given.
        languages: Codes of the languages.
        creator: Who made the data set, where that was given.
        url: Page of the data set, where it is known.
        version: Number of the lake's snapshot.
        date: ISO 8601 date of the snapshot.
        rai: Properties of Croissant RAI, by their names without prefix.
    """

    name: str
    about: str
    license: str | None
    languages: Sequence[str]
    creator: str | None
    url: str | None
    version: int
    date: str | None
    rai: Mapping[str, str | list[str]]


def render_croissant(
    facts: DatasetFacts, parts: Sequence[WrittenPart], schemas: Mapping[str, pa.Schema]
) -> str:
    """Return croissant.json.

    Args:
        facts: About the data set as a whole.
        parts: The written tables.
        schemas: The columns of each part.
    """
    document: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": facts.name,
        "description": facts.about,
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "version": f"{facts.version}.0.0",
        "keywords": ["preference data", "RLHF", "curate"],
    }
    optional = {
        "license": _build_license_url(facts.license),
        "url": facts.url,
        "creator": {"@type": "sc:Organization", "name": facts.creator} if facts.creator else None,
        "datePublished": facts.date,
        "inLanguage": list(facts.languages) or None,
    }
    document |= {name: value for name, value in optional.items() if value is not None}
    document |= {f"rai:{name}": value for name, value in facts.rai.items() if value}
    document["distribution"] = [item for part in parts for item in _list_files(part)]
    document["recordSet"] = [_describe_records(part, schemas[part.name]) for part in parts]
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _build_license_url(name: str | None) -> str | None:
    if name is None:
        return None
    return name if "://" in name else f"https://spdx.org/licenses/{name}"


def _list_files(part: WrittenPart) -> list[dict[str, Any]]:
    """List the Parquet files of a table, and the set of them that its rows are read from."""
    files: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject",
            "@id": file.path,
            "name": file.path,
            "contentUrl": file.path,
            "contentSize": f"{file.bytes} B",
            "encodingFormat": "application/x-parquet",
            "sha256": file.sha256,
        }
        for file in part.files
        if file.path.endswith(".parquet")
    ]
    return [
        *files,
        {
            "@type": "cr:FileSet",
            "@id": f"{part.name}-files",
            "name": f"{part.name}-files",
            "encodingFormat": "application/x-parquet",
            "includes": f"data/{part.name}-*.parquet",
        },
    ]


def _describe_records(part: WrittenPart, schema: pa.Schema) -> dict[str, Any]:
    fields = [
        _describe_field(field, f"{part.name}/{field.name}", f"{part.name}-files", field.name, ())
        for field in schema
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": part.name,
        "name": part.name,
        "description": f"{part.rows:,} rows.",
        "field": fields,
    }


def _describe_field(
    field: pa.Field, name: str, files: str, column: str, path: tuple[str, ...]
) -> dict[str, Any]:
    """Describe a column, or a field of the objects in it (`path`: where it lies in them)."""
    kind = field.type
    described: dict[str, Any] = {"@type": "cr:Field", "@id": name, "name": name}
    is_list = pa.types.is_list(kind)
    if is_list:
        kind = kind.value_type
    if pa.types.is_struct(kind):
        described["subField"] = [
            _describe_field(child, f"{name}/{child.name}", files, column, (*path, child.name))
            for child in kind
        ]
    else:
        described["dataType"] = _name_type(kind)
        source: dict[str, Any] = {"fileSet": {"@id": files}, "extract": {"column": column}}
        if path:
            source["transform"] = {"jsonPath": ".".join(path)}
        described["source"] = source
    if is_list:
        described |= {"isArray": True, "arrayShape": "-1"}
    return described


def _name_type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "cr:Int64"
    if pa.types.is_floating(kind):
        return "cr:Float64"
    return "sc:Boolean" if pa.types.is_boolean(kind) else "sc:Text"
