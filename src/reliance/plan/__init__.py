"""What is computed from what: every stage as a typed row, and what Snakemake asks about it."""
