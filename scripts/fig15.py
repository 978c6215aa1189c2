"""Fig. 15: how strong an augmentation makes a linear probe robust."""

from reliance.figures.audits.fig15 import fig15
from reliance.running.job import run

run(snakemake, fig15)
