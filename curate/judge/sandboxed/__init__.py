"""Programs that run inside the sandbox: they import the standard library and each other, and nothing else of ours."""
