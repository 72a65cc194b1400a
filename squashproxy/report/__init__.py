"""Output for people and programs: tables, JSON, progress. It shows results and computes none."""
