"""The rules' vocabulary: patterns, version ranges, dates and timetables. Pure."""
