"""Where stages meet: the whole chain, training on the panel, exports that need training, schemas."""
