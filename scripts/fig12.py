"""Fig. 12: sets of images that a prompt is mistaken for: polysemous words and compound nouns."""

from reliance.figures.failures.fig12 import fig12
from reliance.running.job import run

run(snakemake, fig12)
