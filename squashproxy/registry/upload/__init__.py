"""Uploads of blobs."""
