"""Meters, each worked out by hand."""
