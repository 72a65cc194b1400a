"""The contents of registries: repositories, tags, and the dates of images."""
