"""Where images come from and go to: one pair of protocols, several implementations."""
