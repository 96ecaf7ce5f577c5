"""What lies under `deploy/`, and that it names only what exists."""
