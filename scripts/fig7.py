"""Fig. 7: Fig. 3 for all models, or one model in detail."""

from reliance.figures.faithfulness.fig7 import fig7
from reliance.running.job import run

run(snakemake, fig7)
