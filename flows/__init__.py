"""Prefect flows: thin, they pass names and ids; the work is in `curate`."""
