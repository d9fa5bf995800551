"""Shapes of rows, of well-known data sets and of one's own: `format` of a source in curate.yaml.

A shape of one's own is a YAML file with the keys of `fields` (`./mine.yaml`) or, where paths alone do not say how to
read a row, a class derived from `Shape` (`./mine.py:Mine`); see `examples/own_parts/shape.yaml` and `shape.py`.
"""

from __future__ import annotations

from pathlib import Path

from curate.config.ingest import SHAPE_NAMES, Source
from curate.config.validation import validate_options
from curate.core.registry import Registry
from curate.ingest.shapes.base import Shape

__all__ = ["FILE_SHAPES", "SHAPES", "Shape", "identify_shape", "locate_shape", "open_shape"]

_CODED = {
    "native": "curate.ingest.shapes.base:Native",
    "trl-preference": "curate.ingest.shapes.trl_preference:TrlPreference",
    "hh-rlhf": "curate.ingest.shapes.hh_rlhf:HhRlhf",
    "ultrafeedback": "curate.ingest.shapes.ultrafeedback:UltraFeedback",
    "lmsys-arena": "curate.ingest.shapes.lmsys_arena:LmsysArena",
    "alpaca-eval": "curate.ingest.shapes.alpaca_eval:AlpacaEval",
    "feedback-log": "curate.ingest.shapes.feedback_log:FeedbackLog",
    "chat-log": "curate.ingest.shapes.chat_log:ChatLog",
    "openai-log": "curate.ingest.shapes.openai_log:OpenAILog",
    "genai-spans": "curate.ingest.shapes.genai_spans:GenAISpans",
    "langfuse": "curate.ingest.shapes.langfuse:Langfuse",
    "agent-traces": "curate.ingest.shapes.agent_traces:AgentTraces",
    "imagereward": "curate.ingest.shapes.imagereward:ImageReward",
    "oasst-trees": "curate.ingest.shapes.oasst_trees:OasstTrees",
    "inspect-log": "curate.ingest.shapes.inspect_log:InspectLog",
    "promptfoo": "curate.ingest.shapes.promptfoo:Promptfoo",
    "lm-eval": "curate.ingest.shapes.lm_eval:LmEval",
    "oasst-messages": "curate.ingest.shapes.oasst_messages:OasstMessages",
}

FILE_SHAPES = tuple(name for name in SHAPE_NAMES if name not in _CODED)
"""Shapes that paths alone can say: YAML files of this folder."""

SHAPES: Registry[Shape] = Registry(
    "shape",
    Shape,
    noun="format",
    builtin=_CODED | {name: f"curate.ingest.shapes:{name}.yaml" for name in FILE_SHAPES},
    data_class="curate.ingest.shapes.base:FileShape",
)


def open_shape(name: str, *, where: str = "ingest.format") -> Shape:
    """Open a shape; a file's name is absolute or starts at the working directory.

    Raises:
        CurateError: There is no such shape, or its YAML file has an unknown key.
    """
    part = SHAPES.find(name, where=where, folder=Path())
    return part.type(validate_options(part.type.Options, part.options, where=name))


def locate_shape(source: Source, folder: Path) -> Source:
    """Make the file that a source's format names absolute; `folder` is that of curate.yaml.

    Raises:
        CurateError: There is no such shape.
    """
    if source.format in SHAPES.names or source.format == "auto":
        return source
    path, colon, name = source.format.partition(".py:")
    if colon:
        located = f"{(folder / f'{path}.py').resolve()}:{name}"
    elif source.format.endswith((".yaml", ".yml")):
        located = str((folder / source.format).resolve())
    else:
        located = source.format
    open_shape(located)
    return source.model_copy(update={"format": located})


def identify_shape(name: str) -> str:
    """Return what identifies a shape wherever its file lies: the name of one of ours, else a digest of the file."""
    if name == "auto":
        return name
    version = open_shape(name).version
    return SHAPES.find(name, where="ingest.format", folder=Path()).code or (
        name if version == 1 else f"{name} {version}"
    )
