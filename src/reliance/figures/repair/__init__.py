"""Repairs of failure cases: before and after, at what cost, and what stays unexplained."""
