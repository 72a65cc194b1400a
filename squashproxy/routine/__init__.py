"""Rules that run by themselves, at their times."""
