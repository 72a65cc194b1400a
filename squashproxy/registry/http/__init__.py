"""HTTP as registries speak it: connections, retries, limits and errors."""
