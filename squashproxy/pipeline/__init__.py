"""Copying one image: find the base, squash the layers above it, copy or mount the rest, publish."""
