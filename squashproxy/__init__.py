"""squashproxy: squash container images while they move between registries."""

__version__ = "0.1.0"
