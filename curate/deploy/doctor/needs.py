"""The extras that a project needs, by what its curate.yaml says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curate.config.project import Config

MODULES: Mapping[str, tuple[str, ...]] = {
    "models": ("torch", "transformers", "sentence_transformers", "safetensors", "accelerate"),
    "openai": ("httpx",),
    "vllm": ("vllm",),
    "label-studio": ("label_studio_sdk",),
    "report": ("altair", "vl_convert"),
    "flows": ("prefect", "psutil"),
    "hub": ("datasets", "huggingface_hub"),
    "serve": ("fastapi", "uvicorn"),
    "postgres": ("duckdb_extension_postgres_scanner",),
    "s3": ("duckdb_extension_httpfs",),
}
"""Extras of pyproject.toml, with the modules by which each is known."""
_ENGINES = {"transformers": "models", "openai": "openai", "vllm": "vllm"}


def list_needed_extras(config: Config) -> dict[str, str]:
    """List the extras that a project needs, each with the key of curate.yaml that asks for it."""
    needed: dict[str, str] = {}

    def need(extra: str | None, key: str) -> None:
        if extra is not None:
            needed.setdefault(extra, key)

    for name, engine in config.engines.items():
        need(_ENGINES.get(str(engine.get("kind"))), f"engines.{name}")
    for judge in config.judge.judges:
        if judge.get("kind") == "reward-model" and "model" in judge:
            need("models", f"judge {judge['name']}")
    if config.train is not None:
        need("models", "train")
    if any(str(source.source).startswith("hf://") for source in config.ingest):
        need("hub", "ingest")
    if config.hub.push:
        need("hub", "hub.push")
    if "verify" in config.model_fields_set:
        need("label-studio", "verify")
    if "deploy" in config.model_fields_set:
        need("flows", "deploy")
    if config.lake.catalog and "postgres" in config.lake.catalog:
        need("postgres", "lake.catalog")
    if config.lake.data and "://" in config.lake.data:
        need("s3", "lake.data")
    return needed


def list_clear_secrets(document: Any, key: str = "") -> list[str]:
    """List the keys of a curate.yaml that hold a secret as it is, not by the name of a variable.

    >>> list_clear_secrets({"engines": {"a": {"api_key": "sk-abc123", "api_key_env": "OPENAI_API_KEY"}}})
    ['engines.a.api_key']
    """
    from curate.core.secrets import MASK, is_secret_name, scrub_text

    if isinstance(document, Mapping):
        return [
            secret
            for name, value in document.items()
            for secret in list_clear_secrets(value, f"{key}.{name}")
        ]
    if isinstance(document, list):
        return [
            secret
            for number, value in enumerate(document)
            for secret in list_clear_secrets(value, f"{key}[{number}]")
        ]
    if not isinstance(document, str) or "${" in document:
        return []
    name = key.rpartition(".")[2]
    is_named = is_secret_name(name) and not name.endswith("_env") and name.lower() not in ("key", "keys")
    has_password = "://" in document and MASK in scrub_text(document)
    return [key.lstrip(".")] if (is_named and document) or has_password else []
