"""Checking the signatures of a source, and signing a result."""
