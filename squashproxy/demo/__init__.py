"""A copy to look at: two registries on loopback, an image of this machine's files, the proof."""
