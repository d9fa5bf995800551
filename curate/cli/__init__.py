"""The command line: one module a verb, and the tables that commands print."""
