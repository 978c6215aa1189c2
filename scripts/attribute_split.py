"""Relevance of every active component to an image's own class (Eqs. 3, 5, 6)."""

from reliance.attribution.table import attribute_split
from reliance.running.job import run

run(snakemake, attribute_split)
