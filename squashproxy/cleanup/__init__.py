"""Cleaning up repositories: the whole graph first, then a plan, then what the plan says."""
