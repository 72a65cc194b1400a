"""Patterns, version ranges, dates and timetables, as rules of a configuration use them."""
