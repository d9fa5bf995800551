"""Data sets and models go to the Hugging Face Hub: one commit and one tag for each state."""

from curate.hub.publication import Publication, RepositoryKind
from curate.hub.push import PushResult, push_publication

__all__ = ["Publication", "PushResult", "RepositoryKind", "push_publication"]
