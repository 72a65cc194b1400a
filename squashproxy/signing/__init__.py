"""Signatures of images: keys, what is signed, and the documents that hold it."""
