"""Cleaning up repositories: load the whole graph, make a plan, apply it."""
