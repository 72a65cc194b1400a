"""Small tools for threads and tasks."""
