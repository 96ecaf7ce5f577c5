"""What is deployed names only what exists."""
