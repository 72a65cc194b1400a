"""Transfer: blobs and layers on their way, in parallel threads."""
