"""Fig. 10: components that are strong and that no name describes, by clarity."""

from reliance.figures.concepts.fig10 import fig10
from reliance.running.job import run

run(snakemake, fig10)
