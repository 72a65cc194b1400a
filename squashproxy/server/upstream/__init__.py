"""The registries behind the server: clients, tags and fetches."""
