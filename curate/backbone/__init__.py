"""A language model with a value head, and how prompts with all their responses go through it: to train and to serve."""
