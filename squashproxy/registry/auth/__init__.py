"""Credentials, challenges and tokens."""
