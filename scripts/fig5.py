"""Fig. 5: failure modes of text-image probing against a linear probe."""

from reliance.figures.robustness.fig5 import fig5
from reliance.running.job import run

run(snakemake, fig5)
