"""Reward models: a language model with a value head, heads on embeddings, and how both score responses."""
