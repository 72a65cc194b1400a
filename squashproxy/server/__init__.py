"""The pull-through registry: `squashproxy serve`."""
