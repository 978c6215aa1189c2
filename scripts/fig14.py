"""Fig. 14: Fig. 5 in detail, every prompt set with its standard error."""

from reliance.figures.robustness.fig14 import fig14
from reliance.running.job import run

run(snakemake, fig14)
