"""`curate.yaml` as pydantic models, one module a section."""
