"""Where the server keeps what it made: a folder, a registry, or memory."""
