"""Models in this process, by vLLM."""
