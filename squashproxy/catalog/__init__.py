"""What registries hold: repositories, tags and their dates."""
