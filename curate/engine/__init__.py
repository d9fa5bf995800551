"""How text gets scored, embedded or generated."""
