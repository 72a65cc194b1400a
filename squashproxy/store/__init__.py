"""Where `serve` keeps what it hands out: a directory, or any registry."""
