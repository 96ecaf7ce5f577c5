"""Serve a bundle over HTTP; knows nothing of torch."""
