"""The tables: DuckLake, what is recorded of runs, and queries over both."""
