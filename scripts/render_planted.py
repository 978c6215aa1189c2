"""Draw the planted data set: images by class folder, their truth, class names, what was planted."""

from reliance.jobs import run
from reliance.planted.dataset import render_planted

run(snakemake, render_planted)
