"""Tar as layers use it: headers read in place, entries kept bit for bit or rewritten exactly."""
