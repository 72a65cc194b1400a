"""What runs remember: manifests by digest, what tags pointed to, which runs there were."""
