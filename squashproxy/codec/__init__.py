"""Packing of layers: blobs to tar bytes, spans to blobs. Pure; the streams come from elsewhere."""
