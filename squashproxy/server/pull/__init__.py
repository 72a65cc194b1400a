"""What a pull is answered with: manifests and blobs."""
