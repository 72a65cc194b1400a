"""Hooks: commands and webhooks that run before and after the promotion of an image."""
