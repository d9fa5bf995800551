"""Export formats: which rows an export holds, and how a row is written. One class a file, named in curate.yaml.

A format of one's own is a class derived from `RowFormat`, named as `./mine.py:Mine`; see
`examples/own_parts/export_format.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curate.config.validation import validate_options
from curate.core.registry import Registry, split_choice
from curate.export.formats.base import ExportFormat, ExportTable, Layout, Transcriber
from curate.export.formats.row_format import RowFormat
from curate.records import Record

__all__ = [
    "EXPORT_FORMATS",
    "ExportFormat",
    "ExportTable",
    "Layout",
    "RowFormat",
    "Transcriber",
    "open_format",
]

EXPORT_FORMATS: Registry[ExportFormat] = Registry(
    "export_format",
    ExportFormat,  # type: ignore[type-abstract]
    builtin={
        "trl-preference": "curate.export.formats.trl_preference:TrlPreference",
        "tree-preference": "curate.export.formats.tree_preference:TreePreference",
        "trl-unpaired": "curate.export.formats.trl_unpaired:TrlUnpaired",
        "ranking": "curate.export.formats.ranking:Ranking",
        "best-of-n": "curate.export.formats.best_of_n:BestOfN",
        "annotator-votes": "curate.export.formats.annotator_votes:AnnotatorVotes",
        "pass-fail-pairs": "curate.export.formats.pass_fail_pairs:PassFailPairs",
        "judge-sft": "curate.export.formats.judge_sft:JudgeSft",
        "judge-sft-pointwise": "curate.export.formats.judge_sft_pointwise:JudgeSftPointwise",
        "judge-sft-listwise": "curate.export.formats.judge_sft_listwise:JudgeSftListwise",
        "critique": "curate.export.formats.critique:Critique",
        "judge-rl": "curate.export.formats.judge_rl:JudgeRl",
        "llama-factory": "curate.export.formats.llama_factory:LlamaFactory",
        "ms-swift": "curate.export.formats.ms_swift:MsSwift",
        "nemo-rl": "curate.export.formats.nemo_rl:NemoRl",
        "axolotl": "curate.export.formats.axolotl:Axolotl",
        "openai-messages": "curate.export.formats.openai_messages:OpenAiMessages",
        "alpaca": "curate.export.formats.alpaca:Alpaca",
        "verl": "curate.export.formats.verl:Verl",
        "reward-bench": "curate.export.formats.reward_bench:RewardBench",
        "reward-bench-2": "curate.export.formats.reward_bench_2:RewardBench2",
        "argilla": "curate.export.formats.argilla:Argilla",
        "annotated-pairs": "curate.export.formats.annotated_pairs:AnnotatedPairs",
        "rubric": "curate.export.formats.rubrics:Rubrics",
        "criterion-verdicts": "curate.export.formats.criterion_verdicts:CriterionVerdicts",
        "inspect": "curate.export.formats.inspect_scores:InspectScores",
        "parquet": "curate.export.formats.tables:Tables",
    },
)


def open_format(
    choice: str | Mapping[str, Any], *, folder: Path = Path(), where: str = "export.format"
) -> ExportFormat:
    """Open the format that curate.yaml or the command line names.

    Args:
        choice: A name, or {kind: name, option: value}.
        folder: Folder of curate.yaml, where relative files start.
        where: Key of curate.yaml that holds the choice, for error messages.

    Raises:
        CurateError: There is no such format, or it has no such option.
    """
    name, given = split_choice(choice)
    part = EXPORT_FORMATS.find(name, where=where, folder=folder)
    return part.type(str(name), validate_options(part.type.Options, given, where=where), code=part.code)


def list_row_types(*, conversations: bool = False) -> dict[str, type[Record]]:
    """List the rows of our training formats by the format's name; `conversations`: those that hold more than texts."""
    types = {
        name: form.ConversationRow if conversations else form.Row
        for name, form in EXPORT_FORMATS.registered.items()
    }
    return {name: row for name, row in types.items() if row is not None}
