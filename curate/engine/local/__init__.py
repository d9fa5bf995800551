"""Models in this process, by Transformers and sentence-transformers."""
