"""Sparse codes of every image, and what is read off them in one pass."""
