"""Verification by people: which questions they get, where they answer, and their answers as judgments."""
