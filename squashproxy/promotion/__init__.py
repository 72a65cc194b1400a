"""Promoting images by rule: plan first, then copy several images at once."""
