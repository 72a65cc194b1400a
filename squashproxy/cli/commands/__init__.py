"""One module per command: its options, one call, its report."""
