"""Recall and precision of the mined cases against what was planted."""

from reliance.planted.truth import score_truth
from reliance.running.job import run

run(snakemake, score_truth)
