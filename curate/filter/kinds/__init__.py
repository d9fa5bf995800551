"""The kinds of filters of this package, one a file."""
