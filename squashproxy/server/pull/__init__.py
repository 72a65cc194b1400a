"""Answering pulls: which manifest and which blob a client gets."""
