"""Engines: models behind one protocol, which generate, choose, score or embed.

Importing this package loads no model library; an engine imports what it needs when it is first asked something.
"""

from curate.engine import replay
from curate.engine.base import Capability, Engine, Failure, Sampling, build_chat
from curate.engine.local import engine as transformers
from curate.engine.openai import engine as openai
from curate.engine.registry import ConfiguredEngine, EngineOptions, Engines, build_engine_schemas, engine
from curate.engine.vllm import engine as vllm

__all__ = [
    "Capability",
    "ConfiguredEngine",
    "Engine",
    "EngineOptions",
    "Engines",
    "Failure",
    "Sampling",
    "build_chat",
    "build_engine_schemas",
    "engine",
    "openai",
    "replay",
    "transformers",
    "vllm",
]
