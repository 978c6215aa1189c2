"""Reliance that was not expected: expectations, outliers, cases, kinds."""
