"""What is told to others after a promotion."""
