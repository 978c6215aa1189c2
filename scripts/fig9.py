"""Fig. 9: clarity of components against how strongly and how often they fire."""

from reliance.figures.concepts.fig9 import fig9
from reliance.running.job import run

run(snakemake, fig9)
