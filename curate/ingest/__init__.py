"""Ingest: files and hub data sets → `prompts`, `responses`, imported `judgments`, and `quarantine`."""

from curate.ingest.stage import ingest, ingest_judgments, ingest_responses

__all__ = ["ingest", "ingest_judgments", "ingest_responses"]
