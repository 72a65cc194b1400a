"""Bases: the leading layers of an image that stay as they are, and how they are found."""
