"""The store: squashed images and blobs, kept in a folder or in a registry."""
