"""Deletion and insertion curves of every ordering of latents (Figs. 3, 7, 8)."""

from reliance.faithfulness.table import faithfulness
from reliance.running.job import run

run(snakemake, faithfulness)
