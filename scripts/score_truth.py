"""Recall and precision of the mined cases against what was planted."""

from reliance.jobs import run
from reliance.planted.truth import score_truth

run(snakemake, score_truth)
