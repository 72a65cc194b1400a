"""Applying a cleanup plan: watching the tags, removing, restoring, the audit log, undoing."""
