"""Copying one image: what to keep, what to merge, what is there already, and the push."""
