"""Figures of failure cases: pictures of what a prompt is mistaken for."""
