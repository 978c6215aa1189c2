"""Fig. 13: sets of images that a prompt is mistaken for: typography, spurious correlations and others."""

from reliance.figures.failures.fig13 import fig13
from reliance.running.job import run

run(snakemake, fig13)
