"""Choosing among tags: by name, by version, by date. No I/O, no clock."""
