"""Rewriting: layers that are squashed, cut into several, or pruned."""
