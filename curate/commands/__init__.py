"""Groups of commands, one module each; `curate.cli` registers them."""
