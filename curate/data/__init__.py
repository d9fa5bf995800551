"""Rows as they come in from files, and what they hold: preference rows, native rows, images, the adversarial set."""
