"""Break the running service on purpose, and see whether it keeps its promises."""
