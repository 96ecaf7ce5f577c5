"""Tests of `deploy.chaos`."""
