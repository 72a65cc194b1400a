"""Transports: where images come from and go to, as two protocols with implementations."""
