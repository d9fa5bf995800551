"""Foundations that know nothing else of the project: errors, content ids, progress, packaged files, the registry."""
