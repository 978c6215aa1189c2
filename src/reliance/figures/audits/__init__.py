"""Figures of the audit of a linear probe."""
