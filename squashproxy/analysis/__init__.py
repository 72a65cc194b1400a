"""What `plan` finds out about an image."""
