"""The demo: two registries on loopback, an image of this machine's files, a copy, the proof."""
