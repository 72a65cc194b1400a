"""Squashing for the server: the rules and the running jobs."""
