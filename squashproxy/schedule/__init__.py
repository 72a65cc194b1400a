"""When rules run. No I/O, no clock of its own: every moment is handed in."""
