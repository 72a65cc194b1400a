"""Promotion, cleanup and serving from a configuration, without a terminal."""
