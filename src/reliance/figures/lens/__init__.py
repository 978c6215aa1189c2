"""Figures of the second-order lens."""
