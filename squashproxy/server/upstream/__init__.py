"""The registries that are pulled through: clients, tags and fetches of blobs."""
