"""Fig. 8: deletion with a random reference set."""

from reliance.figures.faithfulness.fig8 import fig8
from reliance.running.job import run

run(snakemake, fig8)
