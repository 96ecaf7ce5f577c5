"""Tests of the export, one module for each of its modules."""
