"""Prefect flows, one a stage: thin, they pass names and ids; the work is in `curate`.

Their parameters are the path of curate.yaml, and the options of the stage that this one run changes.
"""
