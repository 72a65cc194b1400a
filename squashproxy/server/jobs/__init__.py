"""Squashing for pulls: the rules, and the jobs that run."""
