"""The client of the Docker Registry v2 and OCI distribution API."""
