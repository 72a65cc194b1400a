"""The page at `/`: what runs, what was saved, what failed."""
