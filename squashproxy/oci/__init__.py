"""The documents of an image: manifests, indexes, configs and descriptors."""
