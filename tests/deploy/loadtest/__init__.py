"""The load test: its arithmetic, and short runs against a server of its own."""
