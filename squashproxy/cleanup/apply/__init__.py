"""Applying a cleanup plan: watching, removing, restoring and the audit log."""
