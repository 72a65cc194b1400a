"""Exact copies: the same bytes and digests, with what refers to them."""
