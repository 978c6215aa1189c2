"""Alignment of the names of classes with their own images (Fig. 4 c)."""

from reliance.interpretability.alignments import alignment_baseline
from reliance.jobs import run

run(snakemake, alignment_baseline)
