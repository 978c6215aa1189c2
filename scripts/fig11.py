"""Fig. 11: components that drive a class and that no name describes, by clarity."""

from reliance.figures.concepts.fig11 import fig11
from reliance.running.job import run

run(snakemake, fig11)
