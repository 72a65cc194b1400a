"""What registries hold: repositories, tags, manifests, and when images were made."""
