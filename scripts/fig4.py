"""Fig. 4: clarity, unique concepts and alignments of components."""

from reliance.figures.concepts.fig4 import fig4
from reliance.running.job import run

run(snakemake, fig4)
