"""Verification by people: what they are asked, where they answer, and their answers as judgments."""
