"""Draw the planted data set: images by class folder, their truth, class names, what was planted."""

from reliance.planted.dataset import render_planted
from reliance.running.job import run

run(snakemake, render_planted)
