"""Promotion and cleanup on the workers of a fleet: what is asked of them, and what they answer."""
