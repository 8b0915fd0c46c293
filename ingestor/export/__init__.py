"""Stored events as files: one table of columns, in the forms that other tools read."""
