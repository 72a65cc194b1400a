"""Uploads of blobs: sessions, the ways to send a body, and resumption."""
