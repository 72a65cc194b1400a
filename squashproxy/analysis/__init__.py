"""The analysis behind a plan: hidden files, secrets, sizes and thresholds."""
