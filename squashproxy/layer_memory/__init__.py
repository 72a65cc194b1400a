"""Memory of layers: what each layer holds, and what became of it when it was pruned."""
