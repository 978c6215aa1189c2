"""Fig. 6: what a linear probe relies on, plain and repaired."""

from reliance.figures.audits.fig6 import fig6
from reliance.running.job import run

run(snakemake, fig6)
