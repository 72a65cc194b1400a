"""Threads beside the event loop, work shared by several callers, and bounded caches."""
