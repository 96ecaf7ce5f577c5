"""Tests of the model, one module for each of its modules."""
