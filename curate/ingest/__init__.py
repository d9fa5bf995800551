"""Ingest: files and hub data sets → `prompts`, `responses`, imported `judgments`, and `quarantine`."""

from curate.ingest.nothing_taken import refuse_wasted_inputs
from curate.ingest.stage import ingest_judgments, ingest_responses, ingest_sources

__all__ = ["ingest_judgments", "ingest_responses", "ingest_sources", "refuse_wasted_inputs"]
