"""Ingest: files and hub data sets → `prompts`, `responses`, imported `judgments`, and `quarantine`."""

from curate.ingest.nothing_taken import check_taken
from curate.ingest.stage import ingest_judgments, ingest_responses, ingest_sources

__all__ = ["check_taken", "ingest_judgments", "ingest_responses", "ingest_sources"]
