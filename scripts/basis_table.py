"""The neurons and the principal axes of class tokens, named as components are (Fig. 4 b)."""

from reliance.concepts.bases import basis_table
from reliance.running.job import run

run(snakemake, basis_table)
