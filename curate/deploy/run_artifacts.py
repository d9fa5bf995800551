"""Artifacts, which Prefect's pages show of a run: a table of its stages, a link to the report, the certificate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from prefect.artifacts import create_link_artifact, create_markdown_artifact

from curate.config.project import Config
from curate.core.markdown import escape_markdown
from curate.core.secrets import scrub_text
from curate.deploy.names import get_project_name
from curate.lake.runs import Summary
from curate.pipeline.certificate import Certificate

_COLUMNS = ("stage", "in", "kept", "duplicates", "dropped", "tokens", "cost", "seconds", "")


def publish_run(config: Config, flow: str, summaries: Sequence[Summary]) -> None:
    """Publish the table of a run, and the address of the report if there is one.

    Args:
        config: The project.
        flow: Name of the flow.
        summaries: What its stages did, as far as they came.
    """
    name, report = get_project_name(config), config.resolve(config.report.path)
    text = format_summaries(summaries)
    url = config.deploy.report_url or os.environ.get("CURATE_REPORT_URL")  # the latter: of `curate up`
    if url is None and report.is_file():
        text += f"\n\nReport: `{report}`"
    create_markdown_artifact(scrub_text(text), key=f"{name}-{flow}", description=f"Stages of {flow}")
    if url is not None and report.is_file():
        create_link_artifact(
            url,
            link_text="Report",
            key=f"{name}-report",
            description="Everything about the labels on one page",
        )


def publish_certificate(
    config: Config, certificate: Certificate, path: Path, drift: Sequence[str] = ()
) -> None:
    """Publish a certificate, and what no longer is as it says."""
    lines = [f"**{escape_markdown(certificate.claim)}**", "", f"`{path.name}`, made {certificate.made_at}"]
    lines += [f"hash `{certificate.hash}`, snapshot {certificate.set.snapshot}", ""]
    lines += [
        "| stratum | pairs | accepted | tested | errors | at most |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in certificate.strata:
        upper = "" if row.upper is None else f"{row.upper:.1%}"
        cells = (escape_markdown(row.stratum), row.pairs, row.accepted, row.tested, row.errors, upper)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    if drift:
        lines += ["", "**It no longer holds.**", *(f"- {escape_markdown(reason)}" for reason in drift)]
    create_markdown_artifact(
        scrub_text("\n".join(lines)), key=f"{get_project_name(config)}-certificate", description="Certificate"
    )


def format_summaries(summaries: Sequence[Summary]) -> str:
    """Format summaries as a Markdown table with one row a stage, and their notes below it."""
    rows = [" | ".join(_COLUMNS), " | ".join(["---", *["---:"] * 7, "---"])]
    for summary in summaries:
        counts = summary.counts
        figures = [counts.rows_in, counts.rows_kept, counts.rows_duplicate, counts.rows_dropped]
        figures.append(counts.tokens_in + counts.tokens_out)
        reasons = ", ".join(f"{reason} {rows:,}" for reason, rows in sorted(counts.dropped.items()))
        state = "nothing to do" if summary.skipped else escape_markdown(reasons)
        cost = f"{counts.cost:,.2f}" if counts.cost else ""
        cells = [summary.stage, *(f"{figure:,}" for figure in figures), cost, f"{summary.seconds:.1f}", state]
        rows.append(" | ".join(cells))
    notes = [f"- {summary.stage}: {escape_markdown(summary.note)}" for summary in summaries if summary.note]
    return "\n".join([*(f"| {row} |" for row in rows), *(["", *notes] if notes else [])])
