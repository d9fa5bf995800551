"""The extras that a project needs, by what its curate.yaml says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curate.config.project import Config
from curate.core.registry import split_choice
from curate.core.secrets import MASK, is_secret_name, scrub_text

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
    "metrics": ("prometheus_client",),
    "otel": ("opentelemetry.sdk",),
    "dask": ("distributed",),
    "ray": ("ray",),
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
    runner, _ = split_choice(config.runner)
    need(runner if runner in ("dask", "ray") else None, "runner")
    if config.lake.data and "://" in config.lake.data:
        need("s3", "lake.data")
    if config.metrics is not None:
        need("metrics", "metrics")
    if config.traces is not None:
        need("otel", "traces")
    return needed


def list_clear_secrets(document: Any, key: str = "") -> list[str]:
    """List the keys of a curate.yaml that hold a secret as it is, not by the name of a variable.

    >>> list_clear_secrets({"engines": {"a": {"api_key": "sk-abc123", "api_key_env": "OPENAI_API_KEY"}}})
    ['engines.a.api_key']
    """
    if isinstance(document, Mapping):
        items = [(f"{key}.{name}", value) for name, value in document.items()]
    elif isinstance(document, list):
        items = [(f"{key}[{number}]", value) for number, value in enumerate(document)]
    else:
        return [key.lstrip(".")] if _is_clear_secret(document, key.rpartition(".")[2]) else []
    return [secret for name, value in items for secret in list_clear_secrets(value, name)]


def _is_clear_secret(value: Any, name: str) -> bool:
    if not isinstance(value, str) or not value or "${" in value:
        return False
    is_named = is_secret_name(name) and not name.endswith("_env") and name.lower() not in ("key", "keys")
    return is_named or ("://" in value and MASK in scrub_text(value))
