"""Comparing what two images unpack to. It shares no code with the squash that it checks."""
