"""Promoting images by rule: planned first, then copied side by side."""
