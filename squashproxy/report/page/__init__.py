"""The page of a plan: one file that needs no network, with charts and tables."""
