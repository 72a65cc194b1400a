"""Compression of layers: from blobs to tar bytes, and from spans to blobs. Pure."""
